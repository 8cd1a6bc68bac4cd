// The forward pass of a unit of convolutions, see conv_unit.h.

#include "conv_unit.h"

template <class T> struct UnitForward {
  const UnitSizes &s;
  const NormClamp<T> prologue;
  const AlignedVector<T> taps, matrix;  // weights with their channels innermost
  const std::vector<Half> pairs;
  const i64 M, line;
  const bool direct;  // whether the convolutions read x itself

  struct Workspace {  // of one thread
    T *padded, *row;
    double *sums;
  };

  UnitForward(const UnitSizes &s, const UnitPrologue &prologue, const T *depthwise_weight, const T *pointwise_weight)
      : s(s), prologue(prologue, s.C), taps(transposed(depthwise_weight, s.C, s.taps())),
        matrix(transposed(pointwise_weight, s.out_C, s.C)), pairs(halves(s)), M(s.z_channels()), line(s.out_W * s.C),
        direct(this->prologue.identity() && !s.kernel) {}

  i64 workspace_size() const { return s.padded_size() + round_to_cache_line<T>(line); }
  Workspace divide(T *memory, double *sums) const { return {memory, memory + s.padded_size(), sums}; }

  // Write line h of z. `image` is x, or what the prologue has made of it.
  void compute_line(const T *image, i64 h, T *row, T *z) const {
    const T *from = image + h * line;
    if (s.kernel) {
      depthwise(s, image + h * s.stride * s.padded_line(), taps.data(), s.stride, s.out_W, s.out_C ? row : z);
      from = row;
    }
    for (const Half &half : pairs) {
      copy_half_line(s, image, half, h, row);
      pointwise({s.C, half.count, M, s.C, M}, row, s.out_W, matrix.data() + half.from, z + half.from);
    }
    if (s.out_C && !s.even) pointwise({s.C, M, M, s.C, M}, from, s.out_W, matrix.data(), z);
  }

  // Write z of one image, and its moments to `piece` if that is not null.
  void compute_image(const T *image, bool last, const Workspace &w, T *z, double *piece) const {
    const i64 size = s.pixels() * s.C, share = divide_up(size, s.out_H);  // of the next image, to prefetch per line
    if (!direct) pad_image(s, image, prologue, w.padded);
    std::fill(w.sums, w.sums + 2 * M, 0.0);
    for (i64 h = 0; h < s.out_H; ++h) {
      T *out = z + h * s.out_W * M;
      prefetch<true>(out + s.out_W * M, s.out_W * M);
      if (!last) prefetch(image + size + h * share, share);
      compute_line(direct ? image : w.padded, h, w.row, out);
      if (piece) add_moments(out, s.out_W, M, z, w.sums);
    }
    if (piece) piece_moments(z, w.sums, s.out_pixels(), M, piece);
  }
};

// z, and its mean and variance if those are not null. Weights as in torch: (C, 1, k, k) and (out_C, C, 1, 1).
template <class T>
void unit_forward(const UnitSizes &s, const T *x, const UnitPrologue &prologue, const T *depthwise_weight,
                  const T *pointwise_weight, T *z, double *mean, double *var, int threads) {
  const UnitForward<T> unit(s, prologue, depthwise_weight, pointwise_weight);
  const i64 M = s.z_channels(), P = s.out_pixels(), size = unit.workspace_size();
  const i64 sums_size = round_to_cache_line<double>(2 * M);
  T *memory = workspace<T, 0>(threads * size);
  double *pieces = workspace<double, 1>(s.B * 2 * M), *sums = workspace<double, 2>(threads * sums_size);
#pragma omp parallel num_threads(threads)
  {
    const auto own = unit.divide(memory + thread_index() * size, sums + thread_index() * sums_size);
#pragma omp for schedule(static)
    for (i64 b = 0; b < s.B; ++b) {
      double *piece = mean ? pieces + b * 2 * M : nullptr;
      unit.compute_image(x + b * s.pixels() * s.C, b + 1 == s.B, own, z + b * P * M, piece);
    }
  }
  if (mean) join_moments(pieces, s.B * P, P, M, mean, var);
}

#define EXPORT(T, suffix)                                                                                             \
  extern "C" bool unit_forward_##suffix(const UnitSizes *s, const T *x, const UnitPrologue *prologue,                 \
                                        const T *depthwise_weight, const T *pointwise_weight, T *z, double *mean,     \
                                        double *var, int threads) {                                                   \
    return enough_memory_for([&] {                                                                                    \
      unit_forward<T>(*s, x, *prologue, depthwise_weight, pointwise_weight, z, mean, var, threads);                   \
    });                                                                                                               \
  }

EXPORT(float, f32)
EXPORT(double, f64)
