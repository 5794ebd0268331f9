// Operators of our own beside libtorch's, found and called like those.
#pragma once
#include <torch/library.h>

#include "causal-attention.h"
#include "elementwise.h"

TORCH_LIBRARY(sled, library) {
  library.def("dropout(Tensor x, float rate) -> Tensor", &sled::dropout);
  library.def("causal_attention(Tensor query, Tensor key, Tensor value, float rate) -> Tensor", &sled::causalAttention);
  library.def("stochastic_round_(Tensor(a!) out, Tensor values, int seed) -> Tensor(a!)", &sled::stochasticRound);
}
