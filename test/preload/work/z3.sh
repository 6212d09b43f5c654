#!/bin/bash
# Real program: z3 on integers, bit vectors and arrays.
set -euo pipefail
n=9
if [[ $1 == long ]]; then n=12; fi
{
  for ((i = 0; i < n; i++)); do echo "(declare-const q$i Int) (assert (and (>= q$i 0) (< q$i $n)))"; done
  for ((i = 0; i < n; i++)); do
    for ((j = i + 1; j < n; j++)); do
      echo "(assert (and (not (= q$i q$j)) (not (= (- q$i q$j) $((j - i)))) (not (= (- q$j q$i) $((j - i))))))"
    done
  done
  echo '(check-sat)'
} >queens.smt2
z3 queens.smt2
z3 -in <<'SMT'
(declare-const x (_ BitVec 32)) (declare-const y (_ BitVec 32))
(assert (= (bvmul x y) #x12345677)) (assert (bvugt x #x00000001)) (assert (bvugt y #x00000001))
(assert (bvult x #x00010000)) (assert (bvult y #x00100000))
(check-sat)
(reset)
(declare-const a (Array Int Int))
(assert (forall ((i Int)) (=> (and (<= 0 i) (< i 10)) (< (select a i) (select a (+ i 1))))))
(assert (> (select a 0) (select a 9)))
(check-sat)
SMT
