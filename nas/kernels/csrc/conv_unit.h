// A unit of convolutions over images in channels_last, x -> clamp(norm(x)) -> depthwise -> pointwise -> z, and its
// gradients. Instead of the two convolutions there may be a factorized reduction (DARTS): two pointwise convolutions
// that halve the resolution, one of the even pixels and one of the odd ones.
//
// A unit runs image by image: what lies between x and z stays in a core's cache, and only z is written. The moments of
// z, which the next BatchNorm needs, are summed up at the same time.
//
// Sums are taken over images, or over pieces of a fixed number of images, and added in order: results do not depend on
// the number of threads.
#pragma once

#include "batchnorm.h"

struct UnitSizes {
  i64 B, H, W, C, out_H, out_W, out_C;  // out_C = 0: no pointwise convolution
  i64 kernel, stride, dilation;         // kernel = 0: no depthwise convolution
  i64 even;                             // how many of out_C see the even pixels; 0: no factorized reduction

  i64 pad() const { return kernel ? dilation * (kernel / 2) : 0; }
  i64 padded_line() const { return (W + 2 * pad()) * C; }
  i64 padded_size() const { return round_to_cache_line<float>((H + 2 * pad()) * padded_line()); }
  i64 taps() const { return kernel * kernel; }
  i64 pixels() const { return H * W; }
  i64 out_pixels() const { return out_H * out_W; }
  i64 z_channels() const { return out_C ? out_C : C; }
};

struct UnitPrologue {  // the BatchNorm before the convolutions, then the clamp
  const double *mean, *var;  // null: no BatchNorm
  double eps;
  i64 batch;  // whether mean and var are those of x
  i64 clamp;
  double low, high;
};

// clamp(norm(x)), per channel.
template <class T> struct NormClamp {
  AlignedVector<T> scale, offset, mean;
  bool norm;
  Clamp<T> clamp;

  NormClamp(const UnitPrologue &p, i64 C) : norm(p.mean), clamp(p.clamp, p.low, p.high) {
    for (i64 c = 0; norm && c < C; ++c) {
      const double inverse_std = 1.0 / std::sqrt(p.var[c] + p.eps);
      scale.push_back(inverse_std), mean.push_back(p.mean[c]);
      offset.push_back(-rounded_off<T>(p.mean[c]) * inverse_std);
    }
  }
  bool identity() const { return !norm && !clamp.active; }
  template <class V> V normalize(V v, i64 c) const {
    return norm ? load<V>(&scale[c]) * (v - load<V>(&mean[c])) + load<V>(&offset[c]) : v;
  }
  template <class V> V forward(V v, i64 c) const {
    v = normalize(v, c);
    return clamp.active ? clamp.forward(v) : v;
  }
  // The gradient by norm(x) from that by clamp(norm(x)).
  template <class V> V clamp_backward(V grad, V v, i64 c) const {
    return clamp.active ? clamp.backward(grad, normalize(v, c)) : grad;
  }
};

// Write clamp(norm(image)) with zeros around it.
template <class T> void pad_image(const UnitSizes &s, const T *image, const NormClamp<T> &prologue, T *padded) {
  const i64 pad = s.pad(), border = pad * s.C, line = s.padded_line();
  std::fill(padded, padded + pad * line, T(0));
  for (i64 h = 0; h < s.H; ++h) {
    T *row = padded + (h + pad) * line;
    std::fill(row, row + border, T(0));
    for_channels<T>(s.C, [&](i64 c, auto width) {
      using V = typename Lanes<T, width>::real;
      const T *from = image + h * s.W * s.C + c;
      for (i64 w = 0; w < s.W; ++w) store(row + border + w * s.C + c, prologue.forward(load<V>(from + w * s.C), c));
    });
    std::fill(row + line - border, row + line, T(0));
  }
  std::fill(padded + (s.H + pad) * line, padded + (s.H + 2 * pad) * line, T(0));
}

// A line of n output pixels of a depthwise convolution; `in` is the padded image from the line's first window on.
template <class T>
inline void depthwise(const UnitSizes &s, const T *in, const T *taps, i64 stride, i64 n, T *out) {
  const i64 line = s.dilation * s.padded_line(), column = s.dilation * s.C, next = stride * s.C;
  for_channels<T>(s.C, [&](i64 c, auto width) {
    using V = typename Lanes<T, width>::real;
    for_pixels(n, [&](i64 w, auto pixels) {
      constexpr int R = pixels;
      V sum[R] = {};
      const T *tap = taps + c;
      for (i64 i = 0; i < s.kernel; ++i) {
        const T *from = in + i * line + w * next + c;
        for (i64 j = 0; j < s.kernel; ++j, tap += s.C, from += column) {
          const V t = load<V>(tap);
          for (int r = 0; r < R; ++r) sum[r] += t * load<V>(from + r * next);
        }
      }
      for (int r = 0; r < R; ++r) store(out + (w + r) * s.C + c, sum[r]);
    });
  });
}

// A matrix (K, M) whose rows are `row` apart, and the steps from one pixel to the next in its input and output.
struct PointwiseSizes {
  i64 K, M, row, in_step, out_step;
};

// out (n, M) = in (n, K) times matrix (K, M).
template <class T> inline void pointwise(const PointwiseSizes &s, const T *in, i64 n, const T *matrix, T *out) {
  for_channels<T>(s.M, [&](i64 c, auto width) {
    using V = typename Lanes<T, width>::real;
    for_pixels(n, [&](i64 p, auto pixels) {
      constexpr int R = pixels;
      V sum[R] = {};
      const T *from = in + p * s.in_step;
      for (i64 k = 0; k < s.K; ++k) {
        const V m = load<V>(matrix + k * s.row + c);
        for (int r = 0; r < R; ++r) sum[r] += m * from[r * s.in_step + k];
      }
      for (int r = 0; r < R; ++r) store(out + (p + r) * s.out_step + c, sum[r]);
    });
  });
}

// One of the two pointwise convolutions of a factorized reduction.
struct Half {
  i64 offset;       // of its pixels: 0 (even ones) or 1 (odd ones)
  i64 from, count;  // of the output channels
};
inline std::vector<Half> halves(const UnitSizes &s) {
  if (!s.even) return {};
  return {{0, 0, s.even}, {1, s.even, s.out_C - s.even}};
}

// Copy line h of a half's pixels, (out_W, C), with zeros beyond the image.
template <class T> void copy_half_line(const UnitSizes &s, const T *image, const Half &half, i64 h, T *row) {
  const i64 line = 2 * h + half.offset;
  for (i64 w = 0; w < s.out_W; ++w) {
    const i64 column = 2 * w + half.offset;
    if (line < s.H && column < s.W) std::copy_n(image + (line * s.W + column) * s.C, s.C, row + w * s.C);
    else std::fill_n(row + w * s.C, s.C, T(0));
  }
}

template <class T> AlignedVector<T> transposed(const T *matrix, i64 rows, i64 columns) {
  AlignedVector<T> result(rows * columns);
  for (i64 r = 0; r < rows; ++r)
    for (i64 c = 0; c < columns; ++c) result[c * rows + r] = matrix[r * columns + c];
  return result;
}
