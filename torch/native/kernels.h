// Operators of our own beside libtorch's, found and called like those.
#pragma once
#include <torch/library.h>

#include "causal-attention.h"
#include "elementwise.h"
#include "gates.h"
#include "join.h"
#include "norms.h"
#include "rotary.h"

TORCH_LIBRARY(sled, library) {
  library.def("dropout(Tensor x, float rate) -> Tensor", &sled::dropout);
  library.def("causal_attention(Tensor query, Tensor key, Tensor value, float rate) -> Tensor", &sled::causalAttention);
  library.def("stochastic_round_(Tensor(a!) out, Tensor values, int seed) -> Tensor(a!)", &sled::stochasticRound);
  library.def("rms_norm(Tensor x, Tensor weight, float eps) -> Tensor", &sled::rmsNorm);
  library.def("norm_silu(Tensor x, Tensor weight, Tensor bias, float eps) -> Tensor", &sled::normSilu);
  library.def("modulated_norm(Tensor x, Tensor shift, Tensor scale, float eps) -> Tensor", &sled::modulatedNorm);
  library.def("join_rows(Tensor[] parts) -> Tensor", &sled::joinRows);
  library.def("swiglu(Tensor x) -> Tensor", &sled::swiglu);
  library.def("gated_add(Tensor x, Tensor gate, Tensor y) -> Tensor", &sled::gatedAdd);
  library.def("rotate_heads(Tensor x, Tensor cos, Tensor sin, int heads) -> (Tensor, Tensor, Tensor)", &sled::rotateHeads);
}
