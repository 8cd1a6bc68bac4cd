// A node's sum: out = sum over i of strength[i] * norm(z[i]), clamped, over images in channels_last, P pixels (of all
// images) times C channels; see nas/kernels/node_sum.py.
//
// Sums are taken over blocks of a fixed size and added in order: results do not depend on the number of threads.

#include "batchnorm.h"

// Pixels of a block: two tensors of it fit into the nearest cache.
inline i64 block_pixels(i64 C) { return std::max<i64>(1, 4096 / C); }

enum Norm { PLAIN = 0, BATCH = 1, GIVEN = 2 };  // how a term is normalized: not, by its own moments, by given ones

struct NodeSumSizes {
  i64 terms, pixels, channels;
  i64 clamp;
  double low, high;
};

// The terms, and what each is multiplied by. A PLAIN term counts for its first shared[i] channels only.
template <class T> struct Terms {
  i64 n, P, C;
  const T *const *z;
  const i64 *norm, *shared;
  const double *strength, *eps;
  Terms(const NodeSumSizes &s, const T *const *z, const i64 *norm, const i64 *shared, const double *strength,
        const double *eps)
      : n(s.terms), P(s.pixels), C(s.channels), z(z), norm(norm), shared(shared), strength(strength), eps(eps) {}
};

// Mean and biased variance of each channel.
template <class T> void moments(const T *z, i64 P, i64 C, double *mean, double *var, int threads) {
  const i64 size = block_pixels(C), blocks = divide_up(P, size), row = round_to_cache_line<double>(2 * C);
  std::vector<double> pieces(blocks * 2 * C);
  AlignedVector<double> sums(threads * row);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 block = 0; block < blocks; ++block) {
    const i64 from = block * size, n = std::min(P - from, size);
    double *own = &sums[thread_index() * row];
    std::fill(own, own + 2 * C, 0.0);
    add_moments(z + from * C, n, C, z + from * C, own);
    piece_moments(z + from * C, own, n, C, &pieces[block * 2 * C]);
  }
  join_moments(pieces.data(), P, size, C, mean, var);
}

// Write pixels from..to of the sum over i of scale[i] * (z[i] - center[i]), plus offset. scale, center: (n, C), offset:
// (C,). Centered, a term that is constant is exactly zero.
template <class T>
void forward_block(const Terms<T> &t, const T *scale, const T *center, const T *offset, const Clamp<T> &clamp,
                   i64 from, i64 to, T *out) {
  const i64 C = t.C;
  for_channels<T>(C, [&](i64 c, auto width) {
    using V = typename Lanes<T, width>::real;
    const V b = load<V>(offset + c);
    i64 i = 0;
    if (t.n % 2) {
      const V a = load<V>(scale + c), mid = load<V>(center + c);
      for (i64 p = from; p < to; ++p) store(out + p * C + c, a * (load<V>(t.z[0] + p * C + c) - mid) + b);
      i = 1;
    } else
      for (i64 p = from; p < to; ++p) store(out + p * C + c, b);
    for (; i < t.n; i += 2) {  // the block of `out` stays in the cache
      const V a0 = load<V>(scale + i * C + c), a1 = load<V>(scale + (i + 1) * C + c);
      const V mid0 = load<V>(center + i * C + c), mid1 = load<V>(center + (i + 1) * C + c);
      const T *z0 = t.z[i] + c, *z1 = t.z[i + 1] + c;
      for (i64 p = from; p < to; ++p)
        store(out + p * C + c, load<V>(out + p * C + c) + a0 * (load<V>(z0 + p * C) - mid0) +
                                   a1 * (load<V>(z1 + p * C) - mid1));
    }
    for (i64 p = from; clamp.active && p < to; ++p)
      store(out + p * C + c, clamp.forward(load<V>(out + p * C + c)));
  });
}

// The sum. `mean` and `var`, (n, C), are written for BATCH terms and read for GIVEN ones.
template <class T>
void node_sum_forward(const Terms<T> &t, const Clamp<T> &clamp, double *mean, double *var, T *out, int threads) {
  const i64 C = t.C;
  AlignedVector<T> scale(t.n * C), center(t.n * C), offset(C);
  std::vector<double> sum(C);
  for (i64 i = 0; i < t.n; ++i) {
    if (t.norm[i] == BATCH) moments(t.z[i], t.P, C, mean + i * C, var + i * C, threads);
    for (i64 c = 0; c < C; ++c) {
      const bool plain = t.norm[i] == PLAIN;
      const double counts = c < t.shared[i] ? t.strength[i] : 0.0;
      const double a = plain ? counts : t.strength[i] / std::sqrt(var[i * C + c] + t.eps[i]);
      scale[i * C + c] = a;
      center[i * C + c] = plain ? 0.0 : mean[i * C + c];
      sum[c] -= plain ? 0.0 : a * rounded_off<T>(mean[i * C + c]);
    }
  }
  for (i64 c = 0; c < C; ++c) offset[c] = sum[c];
  const i64 size = block_pixels(C);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 from = 0; from < t.P; from += size)
    forward_block(t, scale.data(), center.data(), offset.data(), clamp, from, std::min(t.P, from + size), out);
}

// Copy n pixels without what lies between them: lines a power of two apart would evict each other from the cache.
template <class T> const T *dense_block(const T *from, i64 stride, i64 n, i64 C, T *memory) {
  if (stride == C) return from;
  for (i64 p = 0; p < n; ++p) std::copy_n(from + p * stride, C, memory + p * C);
  return memory;
}

template <class T> struct NodeSumBackward {
  const Terms<T> &t;
  const Clamp<T> &clamp;
  const double *mean, *var;              // (n, C)
  AlignedVector<T> center, inverse_std, rest;  // (n, C)

  NodeSumBackward(const Terms<T> &t, const Clamp<T> &clamp, const double *mean, const double *var)
      : t(t), clamp(clamp), mean(mean), var(var), center(t.n * t.C), inverse_std(t.n * t.C), rest(t.n * t.C) {
    for (i64 at = 0; at < t.n * t.C; ++at) {
      const bool plain = t.norm[at / t.C] == PLAIN;
      center[at] = plain ? 0.0 : mean[at];
      const double inverse = plain ? 1.0 : 1.0 / std::sqrt(var[at] + t.eps[at / t.C]);
      inverse_std[at] = inverse;
      rest[at] = plain ? 0.0 : -t.strength[at / t.C] * inverse * rounded_off<T>(mean[at]);
    }
  }

  // The value that was clamped, from a term's distance from its center: there is only one term then.
  template <class V> auto clamped_value(i64 i, i64 c) const {
    const V scale = load<V>(&inverse_std[i * t.C + c]) * V(V{} + T(t.strength[i]));
    const V offset = load<V>(&rest[i * t.C + c]);
    return [=](V distance) { return V(scale * distance + offset); };
  }

  // Add sums over n pixels, (n_terms + 1, C): of grad, then of grad * (z[i] - center) for each term.
  void block_sums(i64 from, i64 n, const T *grad, double *sums) const {
    const i64 C = t.C;
    for (i64 i = 0; i < t.n; ++i) {
      const T *own = t.z[i] + from * C;
      if (i + 1 < t.n) prefetch(t.z[i + 1] + from * C, n * C);
      for_channels<T>(C, [&](i64 c, auto width) {
        using V = typename Lanes<T, width>::real;
        const V mid = load<V>(&center[i * C + c]);
        const auto value = clamped_value<V>(i, c);
        const auto pixel = [&](i64 p, V &g, V &d) {
          d = load<V>(own + p * C + c) - mid;
          g = load<V>(grad + p * C + c);
          if (clamp.active) g = clamp.backward(g, value(d));
        };
        double sum[width] = {};
        add_sums<T, width>(n, pixel, i == 0 ? sums + c : sum, sums + (i + 1) * C + c);
      });
    }
  }

  // From the sums over all pixels: the gradient by each strength, and the rows (n, 4, C) of each BatchNormGrad.
  void strength_grads_and_rows(const double *sums, double *grad_strength, T *rows) const {
    const i64 C = t.C;
    for (i64 i = 0; i < t.n; ++i) {
      const BatchNormGrad<T> norm_grad{rows + i * 4 * C, C};
      grad_strength[i] = 0;
      for (i64 c = 0; c < C; ++c) {
        const i64 at = i * C + c;
        const double dot = sums[C + at];  // of distances from the rounded mean
        if (t.norm[i] == PLAIN) {
          const bool counts = c < t.shared[i];
          if (counts) grad_strength[i] += dot;
          norm_grad.set_identity(c, counts ? t.strength[i] : 0.0);
          continue;
        }
        const double inverse = 1.0 / std::sqrt(var[at] + t.eps[i]);
        grad_strength[i] += (dot - rounded_off<T>(mean[at]) * sums[c]) * inverse;
        norm_grad.set(c, t.norm[i] == BATCH, t.strength[i], inverse, mean[at], sums[c], dot, double(t.P));
      }
    }
  }

  // Write n pixels of the gradient by term i.
  void block_grad(i64 i, i64 from, i64 n, const T *grad, const T *rows, T *grad_z) const {
    const i64 C = t.C;
    const bool batch = t.norm[i] == BATCH;
    const T *own = t.z[i] + from * C;
    T *to = grad_z + from * C;
    for_channels<T>(C, [&](i64 c, auto width) {
      using V = typename Lanes<T, width>::real;
      const GradRows<T, V> norm_grad(rows + i * 4 * C, C, c);
      const V mid = load<V>(&center[i * C + c]);
      const auto value = clamped_value<V>(i, c);
      for (i64 p = 0; p < n; ++p) {
        V g = load<V>(grad + p * C + c);
        if (clamp.active) g = clamp.backward(g, value(load<V>(own + p * C + c) - mid));
        store(to + p * C + c, batch ? norm_grad(g, load<V>(own + p * C + c)) : norm_grad.by_grad * g);
      }
    });
  }
};

// grad_strength (n,), what the terms' gradients are made of (n, 4, C), and those gradients if they are not null.
template <class T>
void node_sum_backward(const Terms<T> &t, const Clamp<T> &clamp, const double *mean, const double *var,
                       const T *grad_output, i64 pixel_stride, double *grad_strength, T *rows, T *const *grad_z,
                       int threads) {
  const NodeSumBackward<T> node(t, clamp, mean, var);
  const i64 C = t.C, size = block_pixels(C), blocks = divide_up(t.P, size), sums_row = (t.n + 1) * C;
  std::vector<double> pieces(blocks * sums_row), sums(sums_row);
  AlignedVector<T> memory(threads * size * C);
  const auto grad_block = [&](i64 from, i64 n) {
    return dense_block(grad_output + from * pixel_stride, pixel_stride, n, C, &memory[thread_index() * size * C]);
  };
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 block = 0; block < blocks; ++block) {
    const i64 from = block * size, n = std::min(t.P - from, size);
    node.block_sums(from, n, grad_block(from, n), &pieces[block * sums_row]);
  }
  sum_rows(pieces, sums_row, sums.data());
  node.strength_grads_and_rows(sums.data(), grad_strength, rows);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 block = 0; block < blocks; ++block) {
    const i64 from = block * size, n = std::min(t.P - from, size);
    const T *grad = grad_block(from, n);
    for (i64 i = 0; i < t.n; ++i)
      if (grad_z[i]) node.block_grad(i, from, n, grad, rows, grad_z[i]);
  }
}

#define EXPORT(T, suffix)                                                                                             \
  extern "C" bool moments_##suffix(const T *z, i64 pixels, i64 channels, double *mean, double *var, int threads) {    \
    return enough_memory_for([&] { moments<T>(z, pixels, channels, mean, var, threads); });                           \
  }                                                                                                                   \
  extern "C" bool node_sum_forward_##suffix(const NodeSumSizes *s, const T *const *z, const i64 *norm,                \
                                            const i64 *shared, const double *strength, const double *eps,             \
                                            double *mean, double *var, T *out, int threads) {                         \
    return enough_memory_for([&] {                                                                                    \
      const Clamp<T> clamp(s->clamp, s->low, s->high);                                                                \
      node_sum_forward<T>({*s, z, norm, shared, strength, eps}, clamp, mean, var, out, threads);                      \
    });                                                                                                               \
  }                                                                                                                   \
  extern "C" bool node_sum_backward_##suffix(                                                                         \
      const NodeSumSizes *s, const T *const *z, const i64 *norm, const i64 *shared, const double *strength,           \
      const double *eps, const double *mean, const double *var, const T *grad_output, i64 pixel_stride,               \
      double *grad_strength, T *rows, T *const *grad_z, int threads) {                                                \
    return enough_memory_for([&] {                                                                                    \
      const Clamp<T> clamp(s->clamp, s->low, s->high);                                                                \
      node_sum_backward<T>({*s, z, norm, shared, strength, eps}, clamp, mean, var, grad_output, pixel_stride,         \
                           grad_strength, rows, grad_z, threads);                                                     \
    });                                                                                                               \
  }

EXPORT(float, f32)
EXPORT(double, f64)
