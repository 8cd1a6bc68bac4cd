// BatchNorm without scale and shift, and the clamp after it (ReLU, ReLU6): moments, forward, backward.
#pragma once

#include <cmath>
#include <limits>

#include "simd.h"

// min(max(y, low), high) as torch's relu and relu6 compute it: NaN stays NaN, and its gradient passes.
template <class T> struct Clamp {
  bool active;
  T low, high;  // high: NaN if there is none, since no comparison with NaN is true

  Clamp(i64 active, double low, double high)
      : active(active), low(low), high(std::isinf(high) ? std::numeric_limits<T>::quiet_NaN() : T(high)) {}
  template <class V> V forward(V y) const {
    y = y < V{} + low ? V{} + low : y;
    return y > V{} + high ? V{} + high : y;
  }
  template <class V> V backward(V grad, V y) const { return (y <= V{} + low) | (y >= V{} + high) ? V{} : grad; }
};

// Add sums over n pixels, per channel: of a, and of a * b, where `pixel(p, a, b)` sets both to those of pixel p.
//
// The sums are double. Four neighbors are added in T first: that is exact for equal numbers, and zero for those that
// cancel by pairs. A BatchNorm of a constant feature map multiplies what is left of such a sum by 1 / sqrt(eps).
template <class T, int N, class Pixel> inline void add_sums(i64 n, Pixel pixel, double *sum, double *product) {
  using V = typename Lanes<T, N>::real;
  using D = typename Lanes<double, N>::real;
  D own = load<D>(sum), dot = load<D>(product);
  i64 p = 0;
  for (; p + 4 <= n; p += 4) {
    V a[4], b[4];
    for (int j = 0; j < 4; ++j) pixel(p + j, a[j], b[j]);
    own += widen<T, N>((a[0] + a[1]) + (a[2] + a[3]));
    dot += widen<T, N>((a[0] * b[0] + a[1] * b[1]) + (a[2] * b[2] + a[3] * b[3]));
  }
  for (; p < n; ++p) {
    V a, b;
    pixel(p, a, b);
    own += widen<T, N>(a), dot += widen<T, N>(a * b);
  }
  store(sum, own), store(product, dot);
}

// Add n pixels to `sums` (2, C): of z - shift, and of its squares.
template <class T> inline void add_moments(const T *z, i64 n, i64 C, const T *shift, double *sums) {
  for_channels<T>(C, [&](i64 c, auto width) {
    using V = typename Lanes<T, width>::real;
    const V from = load<V>(shift + c);
    const auto pixel = [&](i64 p, V &a, V &b) { a = b = load<V>(z + p * C + c) - from; };
    add_sums<T, width>(n, pixel, sums + c, sums + C + c);
  });
}

// Mean and sum of squared deviations (2, C) of a piece of n pixels from its sums by add_moments.
template <class T> inline void piece_moments(const T *shift, const double *sums, i64 n, i64 C, double *piece) {
  for (i64 c = 0; c < C; ++c) {
    const double shifted = sums[c] / n, deviations = sums[C + c] - shifted * sums[c];
    piece[c] = shift[c] + shifted;
    piece[C + c] = deviations < 0 ? 0 : deviations;  // NaN stays
  }
}

// Mean and biased variance (C,) from those of pieces of n pixels each, the last of which may be smaller
// (Chan, Golub, LeVeque 1979).
inline void join_moments(const double *pieces, i64 pixels, i64 n, i64 C, double *mean, double *var) {
  std::fill(mean, mean + C, 0.0), std::fill(var, var + C, 0.0);
  for (i64 before = 0; before < pixels; before += n, pieces += 2 * C) {
    const double own = std::min(n, pixels - before), all = before + own;
    for (i64 c = 0; c < C; ++c) {
      const double delta = pieces[c] - mean[c];
      mean[c] += delta * (own / all);
      var[c] += pieces[C + c] + delta * delta * (own * before / all);
    }
  }
  for (i64 c = 0; c < C; ++c) var[c] /= pixels;
}

// What rounding to T takes from a mean; 0 for one that is not finite, which the rounded mean shows already.
template <class T> inline double rounded_off(double mean) { return std::isfinite(mean) ? mean - double(T(mean)) : 0.0; }

// The gradient by z of scale * (z - mean) * inverse_std, per channel, as four rows of C numbers:
//     grad_z = row[0] * (grad - row[1]) + row[2] * (z - row[3])
// Centered like this, and not summed up to one constant, it loses no digits if the mean is far from zero.
template <class T> struct BatchNormGrad {
  T *rows;
  i64 C;

  // sum, dot: sums of grad and of grad * (z - T(mean)) over P pixels. batch: mean and inverse_std are those of z.
  void set(i64 c, bool batch, double scale, double inverse_std, double mean, double sum, double dot, double P) const {
    dot -= rounded_off<T>(mean) * sum;
    rows[c] = scale * inverse_std;
    rows[C + c] = batch ? sum / P : 0.0;
    rows[2 * C + c] = batch ? -scale * inverse_std * inverse_std * inverse_std * dot / P : 0.0;
    rows[3 * C + c] = mean;
  }
  void set_identity(i64 c, double scale) const { set(c, false, scale, 1, 0, 0, 0, 1); }
};

// The rows of BatchNormGrad for the channels of a vector.
template <class T, class V> struct GradRows {
  V by_grad, mean_grad, by_z, mean;
  GradRows(const T *rows, i64 C, i64 c)
      : by_grad(load<V>(rows + c)), mean_grad(load<V>(rows + C + c)), by_z(load<V>(rows + 2 * C + c)),
        mean(load<V>(rows + 3 * C + c)) {}
  V operator()(V grad, V z) const { return by_grad * (grad - mean_grad) + by_z * (z - mean); }
  V without_z(V grad) const { return by_grad * (grad - mean_grad); }
  // Without batch statistics z does not count: a z that is NaN or infinite may not spoil the gradient.
  bool uses_z() const {
    for (std::size_t l = 0; l < sizeof(V) / sizeof(T); ++l)
      if (by_z[l] != 0) return true;
    return false;
  }
};
