/*
 * Makes a graph of ggml's from its description, all in one call: some thousand calls one by one would keep JavaScript's thread waiting.
 */
#include <stdbool.h>

#include "kernels.h"

/* The most that a function of ggml's takes after its context; as many words of a node in src/graph-assembler.ts. */
enum { INTEGERS = 10, FLOATS = 6 };
enum { IS_INPUT = 1, IS_OUTPUT = 2, IS_CLEARED = 4, IS_HELPED = 8 };
enum outcome { MADE, UNLIKE, UNKNOWN, NO_MEMORY };

struct init_params {
  size_t mem_size;
  void *mem_buffer;
  bool no_alloc;
};

/* ggml's functions, in the order of FUNCTIONS in src/graph-assembler.ts. */
struct functions {
  void *(*init)(struct init_params);
  size_t (*tensor_overhead)(void);
  size_t (*graph_overhead_custom)(size_t, bool);
  void (*set_input)(struct ggml_tensor *);
  void (*set_output)(struct ggml_tensor *);
  void *(*new_graph_custom)(void *, size_t, bool);
  void (*build_forward_expand)(void *, struct ggml_tensor *);
  void *(*gallocr_new)(void *);
  bool (*gallocr_alloc_graph)(void *, void *);
  bool (*backend_supports_op)(void *, struct ggml_tensor *);
  void (*backend_tensor_set)(struct ggml_tensor *, const void *, size_t, size_t);
};

/*
 * Any function that makes a tensor. By the calling convention of Linux on x64 integers and pointers go one way and floats another, each in
 * order: a function finds its own among more of either.
 */
typedef struct ggml_tensor *maker(void *context, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
                                  int64_t, int64_t, float, float, float, float, float, float);

struct node {
  maker *make;                /* null where the tensor is there already */
  struct ggml_tensor *tensor; /* set where it is not */
  int64_t integers[INTEGERS];
  uint64_t references; /* bit i: integers[i] is the number of a node */
  float floats[FLOATS];
  int64_t ne[4];
  size_t nb[4];
  int32_t flags;
  int32_t kernel; /* which of the operations computes it instead, from 1; 0 for ggml's own */
  void *data;     /* set: where its memory is */
};

/* What is asked, and after `nodes` what was made, which the caller frees even after a failure. */
struct graph {
  int64_t nodes;
  void *backend, *buffer_type;
  void *tensors, *context, *graph, *allocator;
  int64_t failed; /* the node that was unlike its description, or unknown to the backend */
};

/* How ggml writes an operation of ours down: `op` and `op_params`. */
struct operation {
  int32_t op, params[16];
};

static struct ggml_tensor *make(void *context, const struct node *node, const struct node *nodes) {
  int64_t a[INTEGERS];
  for (int i = 0; i < INTEGERS; i++)
    a[i] = node->references >> i & 1 ? (int64_t)nodes[node->integers[i]].tensor : node->integers[i];
  const float *f = node->floats;
  return node->make(context, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], f[0], f[1], f[2], f[3], f[4], f[5]);
}

static bool is_like(const struct ggml_tensor *tensor, const struct node *node) {
  for (int i = 0; i < 4; i++)
    if (tensor->ne[i] != node->ne[i] || tensor->nb[i] != node->nb[i]) return false;
  return true;
}

/* Ours is handed the first parameter of ggml's, attention's scale or a norm's epsilon, and whether it is helped. */
static void replace(struct ggml_tensor *tensor, const struct operation *ours, bool is_helped) {
  const int32_t parameter = tensor->op_params[0];
  tensor->op = ours->op;
  for (int i = 0; i < 16; i++) tensor->op_params[i] = ours->params[i];
  tensor->op_params[4] = parameter;
  tensor->op_params[5] = is_helped;
}

static void clear(const struct functions *ggml, const struct node *node) {
  static char zeros[1 << 16]; /* not in the file, unlike a constant */
  const size_t bytes = node->nb[3] * (size_t)node->ne[3];
  for (size_t at = 0; at < bytes; at += sizeof zeros)
    ggml->backend_tensor_set(node->tensor, zeros, at, bytes - at < sizeof zeros ? bytes - at : sizeof zeros);
}

/* Makes the tensors that are not there yet: sources come before what is computed of them. */
static enum outcome make_tensors(const struct functions *ggml, struct graph *graph, struct node *nodes) {
  size_t missing = 0;
  for (int64_t i = 0; i < graph->nodes; i++) missing += nodes[i].make != NULL;
  graph->tensors = ggml->init((struct init_params){missing * ggml->tensor_overhead() + 1, NULL, true});
  if (!graph->tensors) return NO_MEMORY;
  for (int64_t i = 0; i < graph->nodes; i++) {
    struct node *node = &nodes[i];
    graph->failed = i;
    if (!node->make) continue;
    node->tensor = make(graph->tensors, node, nodes);
    if (!node->tensor || !is_like(node->tensor, node)) return UNLIKE;
    if (node->flags & IS_INPUT) ggml->set_input(node->tensor);
    if (node->flags & IS_OUTPUT) ggml->set_output(node->tensor);
  }
  return MADE;
}

/* Each computed node must be one that the backend knows; those that have a kernel of ours are handed to it. */
static enum outcome assign(const struct functions *ggml, struct graph *graph, const struct node *nodes,
                           const struct operation *operations) {
  for (int64_t i = 0; i < graph->nodes; i++) {
    struct ggml_tensor *tensor = nodes[i].tensor;
    graph->failed = i;
    if (tensor->op == 0) continue; /* GGML_OP_NONE */
    if (!ggml->backend_supports_op(graph->backend, tensor)) return UNKNOWN;
    if (nodes[i].kernel) replace(tensor, &operations[nodes[i].kernel - 1], nodes[i].flags & IS_HELPED);
  }
  return MADE;
}

EXPORT int sled_kernels_assemble(const struct functions *ggml, struct graph *graph, struct node *nodes,
                                 const struct operation *operations) {
  enum outcome outcome = make_tensors(ggml, graph, nodes);
  if (outcome == MADE) outcome = assign(ggml, graph, nodes, operations);
  if (outcome != MADE) return outcome;
  /* ggml counts nodes and leaves apart; the sum is room enough for either. */
  const size_t capacity = (size_t)graph->nodes + 1;
  graph->context = ggml->init((struct init_params){ggml->graph_overhead_custom(capacity, false), NULL, true});
  graph->allocator = ggml->gallocr_new(graph->buffer_type);
  if (!graph->context || !graph->allocator) return NO_MEMORY;
  graph->graph = ggml->new_graph_custom(graph->context, capacity, false);
  /* One by one, sources first: ggml walks down from a result by recursion, too deep for an unrolled LSTM. */
  for (int64_t i = 0; i < graph->nodes; i++) ggml->build_forward_expand(graph->graph, nodes[i].tensor);
  if (!ggml->gallocr_alloc_graph(graph->allocator, graph->graph)) return NO_MEMORY;
  for (int64_t i = 0; i < graph->nodes; i++) {
    nodes[i].data = nodes[i].tensor->data;
    if (nodes[i].flags & IS_CLEARED) clear(ggml, &nodes[i]);
  }
  return MADE;
}
