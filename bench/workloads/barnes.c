/* barnes.c - bodies under gravity, by the tree method of Barnes and Hut.
 *
 * Follows "A hierarchical O(N log N) force-calculation algorithm" (Barnes and Hut, Nature 324, 1986), the
 * program that the SPLASH-2 suite made a benchmark and Hoard's authors an allocator benchmark. Each step
 * builds an octree of cells and leaves that are allocated one by one, walks it once a body, and frees
 * it. Two sizes of small blocks, few allocations for much arithmetic: here the places of the blocks
 * count more than the calls. Bodies are blocks too, and live as long as the program. One thread.
 */
#include "common.h"
#include <math.h>

typedef struct body_s {
  double position[3], velocity[3], force[3];
  double mass;
} body_t;

enum { LEAF_BODIES = 4, MAX_DEPTH = 40 };

typedef struct node_s {
  int is_leaf;
  int count;              // bodies of a leaf
  double mass;
  double centre[3];       // of mass
} node_t;

typedef struct leaf_s {
  node_t node;
  body_t* bodies[LEAF_BODIES];
} leaf_t;

typedef struct cell_s {
  node_t node;
  node_t* children[8];
} cell_t;

static leaf_t* leaf_new(void) {
  leaf_t* leaf = bench_checked(malloc(sizeof(*leaf)));
  leaf->node.is_leaf = 1;
  leaf->node.count = 0;
  return leaf;
}

static cell_t* cell_new(void) {
  cell_t* cell = bench_checked(calloc(1, sizeof(*cell)));
  return cell;
}

static unsigned octant(const double* middle, const double* position) {
  return (unsigned)(position[0] >= middle[0]) | (unsigned)(position[1] >= middle[1]) << 1 |
         (unsigned)(position[2] >= middle[2]) << 2;
}

static node_t* insert(node_t* node, body_t* body, const double* middle, double half, int depth) {
  if (node == NULL) node = &leaf_new()->node;
  if (node->is_leaf && node->count < LEAF_BODIES) {
    ((leaf_t*)node)->bodies[node->count++] = body;
    return node;
  }
  if (node->is_leaf) {
    leaf_t* full = (leaf_t*)node;
    if (depth > MAX_DEPTH) bench_fail("bodies in one place");
    node = &cell_new()->node;
    for (int i = 0; i < LEAF_BODIES; i++) insert(node, full->bodies[i], middle, half, depth);
    free(full);
  }
  unsigned which = octant(middle, body->position);
  double quarter = half / 2, child_middle[3];
  for (unsigned k = 0; k < 3; k++) child_middle[k] = middle[k] + (which >> k & 1 ? quarter : -quarter);
  cell_t* cell = (cell_t*)node;
  cell->children[which] = insert(cell->children[which], body, child_middle, quarter, depth + 1);
  return node;
}

static void add_mass(node_t* node, double mass, const double* position) {
  for (int k = 0; k < 3; k++) node->centre[k] += mass * position[k];
  node->mass += mass;
}

static void sum_masses(node_t* node) {
  node->mass = node->centre[0] = node->centre[1] = node->centre[2] = 0;
  if (node->is_leaf) {
    leaf_t* leaf = (leaf_t*)node;
    for (int i = 0; i < node->count; i++) add_mass(node, leaf->bodies[i]->mass, leaf->bodies[i]->position);
  } else {
    cell_t* cell = (cell_t*)node;
    for (int i = 0; i < 8; i++) {
      if (cell->children[i] == NULL) continue;
      sum_masses(cell->children[i]);
      add_mass(node, cell->children[i]->mass, cell->children[i]->centre);
    }
  }
  for (int k = 0; k < 3; k++) node->centre[k] /= node->mass;
}

static void attract(body_t* body, double mass, const double* centre) {
  double distance[3], square = 1e-4;    // softened
  for (int k = 0; k < 3; k++) {
    distance[k] = centre[k] - body->position[k];
    square += distance[k] * distance[k];
  }
  double pull = mass / (square * sqrt(square));
  for (int k = 0; k < 3; k++) body->force[k] += pull * distance[k];
}

/* A cell that is seen under a small angle acts as one body. */
static void walk(const node_t* node, body_t* body, double size) {
  if (node->is_leaf) {
    const leaf_t* leaf = (const leaf_t*)node;
    for (int i = 0; i < node->count; i++) {
      if (leaf->bodies[i] != body) attract(body, leaf->bodies[i]->mass, leaf->bodies[i]->position);
    }
    return;
  }
  double square = 0;
  for (int k = 0; k < 3; k++) {
    double d = node->centre[k] - body->position[k];
    square += d * d;
  }
  if (size * size < square) {
    attract(body, node->mass, node->centre);
    return;
  }
  const cell_t* cell = (const cell_t*)node;
  for (int i = 0; i < 8; i++) {
    if (cell->children[i] != NULL) walk(cell->children[i], body, size / 2);
  }
}

static void tree_free(node_t* node) {
  if (!node->is_leaf) {
    for (int i = 0; i < 8; i++) {
      if (((cell_t*)node)->children[i] != NULL) tree_free(((cell_t*)node)->children[i]);
    }
  }
  free(node);
}

static void step(body_t** bodies, size_t count) {
  static const double origin[3];
  double half = 1;
  for (size_t i = 0; i < count; i++) {
    for (int k = 0; k < 3; k++) half = fmax(half, fabs(bodies[i]->position[k]) * 1.0001);
  }
  node_t* root = NULL;
  for (size_t i = 0; i < count; i++) root = insert(root, bodies[i], origin, half, 0);
  sum_masses(root);
  for (size_t i = 0; i < count; i++) {
    memset(bodies[i]->force, 0, sizeof(bodies[i]->force));
    walk(root, bodies[i], 2 * half);
  }
  for (size_t i = 0; i < count; i++) {
    for (int k = 0; k < 3; k++) {
      bodies[i]->velocity[k] += 0.01 * bodies[i]->force[k];
      bodies[i]->position[k] += 0.01 * bodies[i]->velocity[k];
    }
  }
  tree_free(root);
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  size_t count = 12000, steps = bench_scaled(&bench, 40);
  bench_random_t random = bench_seed(1986);
  body_t** bodies = bench_checked(malloc(count * sizeof(body_t*)));
  for (size_t i = 0; i < count; i++) {
    bodies[i] = bench_checked(calloc(1, sizeof(body_t)));
    bodies[i]->mass = 1.0 / (double)count;
    for (int k = 0; k < 3; k++) {
      double u = bench_random(&random) / 4294967296.0 - 0.5;
      bodies[i]->position[k] = 4 * u * fabs(u);
    }
  }
  for (size_t i = 0; i < steps; i++) step(bodies, count);
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    for (int k = 0; k < 3; k++) sum = bench_mix(sum, (uint64_t)(int64_t)(bodies[i]->position[k] * 1e6));
    free(bodies[i]);
  }
  free(bodies);
  return bench_end(sum);
}
