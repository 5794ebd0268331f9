// Processes that train together: c10d's store, Gloo's collectives, and gradients that are summed while the backward pass
// still runs. Gloo sums on the CPU: what lies on a GPU goes there and back.
#pragma once
#define USE_C10D_GLOO
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "binding.h"

namespace sled {

using c10d::ProcessGroupGloo;

struct Bucket {
  std::vector<at::Tensor> params;
  at::Tensor flat;     // [elements of all params] float32, where the params are
  at::Tensor sent;     // what Gloo sums, on the CPU: `flat` itself, or a copy of it
  size_t pending = 0;  // params whose gradient is not there yet
  c10::intrusive_ptr<c10d::Work> work;
};

// Gradients in buckets of some megabytes, last parameter first: a bucket is summed over all ranks as soon as its last
// gradient is there, while the backward pass goes on with the layers below.
class GradientBuckets {
 public:
  GradientBuckets(c10::intrusive_ptr<ProcessGroupGloo> group, const std::vector<at::Tensor>& params, int64_t bytes)
      : group_(std::move(group)) {
    int64_t filled = bytes;
    for (auto param = params.rbegin(); param != params.rend(); ++param) {
      const int64_t size = param->numel() * static_cast<int64_t>(sizeof(float));
      if (filled > 0 && filled + size > bytes) buckets_.emplace_back(), filled = 0;
      buckets_.back().params.push_back(*param);
      filled += size;
    }
    for (Bucket& bucket : buckets_) {
      int64_t elements = 0;
      for (const at::Tensor& param : bucket.params) elements += param.numel();
      bucket.flat = at::zeros({elements}, bucket.params[0].options().dtype(at::kFloat).requires_grad(false));
      bucket.sent = bucket.flat.is_cpu() ? bucket.flat : at::zeros({elements}, at::kFloat);
    }
  }

  size_t size() const { return buckets_.size(); }
  const std::vector<at::Tensor>& params(size_t i) const { return buckets_[i].params; }

  // The next backward pass is a step's last: its gradients are complete.
  void arm() {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Bucket& bucket : buckets_) bucket.pending = bucket.params.size();
    next_ = 0;
    armed_ = true;
  }

  void ready(size_t i) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!armed_ || --buckets_[i].pending > 0) return;
    // Every rank launches in the same order, which is how Gloo knows what belongs together.
    while (next_ < buckets_.size() && buckets_[next_].pending == 0) launch(buckets_[next_++]);
  }

  // Waits for all sums, zeros standing for gradients that this rank has none of, and puts them into the gradients.
  void finish() {
    const std::lock_guard<std::mutex> lock(mutex_);
    armed_ = false;
    while (next_ < buckets_.size()) launch(buckets_[next_++]);
    for (Bucket& bucket : buckets_) bucket.work->wait();
    const at::NoGradGuard guard;
    for (Bucket& bucket : buckets_) {
      int64_t offset = 0;
      if (!bucket.flat.is_cpu()) bucket.flat.copy_(bucket.sent);
      for (at::Tensor& param : bucket.params) {
        const at::Tensor sum = bucket.flat.narrow(0, offset, param.numel()).view(param.sizes());
        if (!param.grad().defined()) param.mutable_grad() = at::empty_like(param);
        param.mutable_grad().copy_(sum);
        offset += param.numel();
      }
    }
  }

 private:
  void launch(Bucket& bucket) {
    const at::NoGradGuard guard;
    int64_t offset = 0;
    for (const at::Tensor& param : bucket.params) {
      const at::Tensor part = bucket.flat.narrow(0, offset, param.numel());
      if (param.grad().defined()) part.view(param.sizes()).copy_(param.grad());
      else part.zero_();
      offset += param.numel();
    }
    if (!bucket.flat.is_cpu()) bucket.sent.copy_(bucket.flat);
    std::vector<at::Tensor> tensors{bucket.sent};
    bucket.work = group_->allreduce(tensors);
  }

  c10::intrusive_ptr<ProcessGroupGloo> group_;
  std::vector<Bucket> buckets_;
  std::mutex mutex_;
  size_t next_ = 0;
  bool armed_ = false;
};

struct TellBuckets : torch::autograd::PostAccumulateGradHook {
  TellBuckets(std::shared_ptr<GradientBuckets> buckets, size_t bucket) : buckets(std::move(buckets)), bucket(bucket) {}
  void operator()(const torch::autograd::Variable&) override { buckets->ready(bucket); }
  std::shared_ptr<GradientBuckets> buckets;
  size_t bucket;
};

struct Group {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<ProcessGroupGloo> collectives;
  std::shared_ptr<GradientBuckets> buckets;
};

// A plain pointer: after a rank has died, taking the group down at exit would wait for it.
static Group* joined = nullptr;

static Group& theGroup() {
  TORCH_CHECK(joined, "this process has not joined a group");
  return *joined;
}

// Rank 0 says how many there are; the others compare, and each claims its number.
static void checkMembers(c10d::Store& store, int rank, int size) {
  if (rank == 0) store.set("size", std::vector<uint8_t>{uint8_t(size & 255), uint8_t(size >> 8)});
  const auto told = store.get("size");
  const int expected = told[0] + 256 * told[1];
  TORCH_CHECK(size == expected, "rank ", rank, " was started as one of ", size, " ranks, rank 0 as one of ", expected);
  TORCH_CHECK(store.add("claim/" + std::to_string(rank), 1) == 1, "two processes were started as rank ", rank);
}

// joinGroup(host, port, rank, size, timeout in ms, own address, attempt)
static napi_value joinGroup(Call& call) {
  TORCH_CHECK(!joined, "this process is in a group already");
  const auto rank = static_cast<int>(call.number(2)), size = static_cast<int>(call.number(3));
  const std::chrono::milliseconds timeout(static_cast<int64_t>(call.number(4)));
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(call.number(1));
  options.isServer = rank == 0;
  options.waitWorkers = false;
  options.timeout = timeout;
  auto group = std::make_unique<Group>();
  // torchrun's agent keeps one store over all attempts to run a job; what an earlier one left there must not be met.
  const auto attempt = "attempt-" + std::to_string(static_cast<int>(call.number(6)));
  auto everyones = c10::make_intrusive<c10d::TCPStore>(call.string(0), options);
  group->store = c10::make_intrusive<c10d::PrefixStore>(attempt, everyones);
  checkMembers(*group->store, rank, size);
  auto gloo = ProcessGroupGloo::Options::create(timeout);
  gloo->devices.push_back(ProcessGroupGloo::createDeviceForHostname(call.string(5)));
  gloo->threads = 2;
  auto prefixed = c10::make_intrusive<c10d::PrefixStore>("gloo", group->store);
  group->collectives = c10::make_intrusive<ProcessGroupGloo>(prefixed, rank, size, gloo);
  joined = group.release();
  return nullptr;
}

static napi_value leaveGroup(Call&) {
  delete joined;
  joined = nullptr;
  return nullptr;
}

// Runs `exchange` on a tensor's elements, which Gloo takes from the CPU alone.
template <class Exchange>
void onCpu(at::Tensor tensor, const Exchange& exchange) {
  std::vector<at::Tensor> tensors{tensor.cpu()};
  exchange(tensors);
  if (!tensor.is_cpu()) tensor.copy_(tensors[0]);
}

// allReduce(handle): the sum over all ranks, in place
static napi_value allReduce(Call& call) {
  onCpu(call.tensor(0).detach(), [](auto& tensors) { theGroup().collectives->allreduce(tensors)->wait(); });
  return nullptr;
}

// broadcast(handle, root): in place
static napi_value broadcast(Call& call) {
  c10d::BroadcastOptions options;
  options.rootRank = static_cast<int64_t>(call.number(1));
  onCpu(call.tensor(0).detach(), [&](auto& tensors) { theGroup().collectives->broadcast(tensors, options)->wait(); });
  return nullptr;
}

static napi_value barrier(Call&) {
  theGroup().collectives->barrier()->wait();
  return nullptr;
}

// createBuckets(count, bytes a bucket) -> number of buckets; the parameters' handles are in the buffer.
static napi_value createBuckets(Call& call) {
  Group& group = theGroup();
  std::vector<at::Tensor> params;
  for (size_t i = 0; i < static_cast<size_t>(call.number(0)); i++) params.push_back(call.state.at(call.state.buffer[i]));
  group.buckets =
      std::make_shared<GradientBuckets>(group.collectives, params, static_cast<int64_t>(call.number(1)));
  for (size_t i = 0; i < group.buckets->size(); i++)
    for (const at::Tensor& param : group.buckets->params(i))
      torch::autograd::impl::set_post_acc_grad_hooks(param, std::make_unique<TellBuckets>(group.buckets, i));
  return toJs(call.env, static_cast<uint32_t>(group.buckets->size()));
}

static napi_value armBuckets(Call&) {
  theGroup().buckets->arm();
  return nullptr;
}

static napi_value finishBuckets(Call&) {
  theGroup().buckets->finish();
  return nullptr;
}

static void defineGroup(State& state, napi_value exports) {
  define<joinGroup>(state, exports, "joinGroup");
  define<leaveGroup>(state, exports, "leaveGroup");
  define<allReduce>(state, exports, "allReduce");
  define<broadcast>(state, exports, "broadcast");
  define<barrier>(state, exports, "barrier");
  define<createBuckets>(state, exports, "createBuckets");
  define<armBuckets>(state, exports, "armBuckets");
  define<finishBuckets>(state, exports, "finishBuckets");
}

}  // namespace sled
