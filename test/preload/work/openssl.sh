#!/bin/bash
# Real program: openssl makes keys and certificates, verifies, encrypts, digests.
set -euo pipefail
n=4
if [[ $1 == long ]]; then n=40; fi
seq 200000 >text
for ((i = 0; i < n; i++)); do
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=test $i" -days 30 -keyout key.pem -out cert.pem 2>/dev/null
  openssl dgst -sha256 -sign key.pem -out signature text
  openssl x509 -in cert.pem -pubkey -noout >public.pem
  openssl dgst -sha256 -verify public.pem -signature signature text
done
openssl enc -aes-256-ctr -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff \
  -iv 00000000000000000000000000000000 -in text | sha256sum
for digest in sha512 sha3-256 blake2b512; do openssl dgst "-$digest" text; done
openssl ecparam -name prime256v1 -genkey -noout | openssl ec -noout -text 2>/dev/null | tail -n 2
