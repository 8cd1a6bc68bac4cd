// A unit of convolutions over images in channels_last: x -> clamp(norm(x)) -> depthwise -> pointwise -> z, and its
// gradients. In the place of the convolutions may stand two pointwise ones that halve the resolution (DARTS'
// factorized reduction): one of the even pixels, one of the odd ones.
//
// It runs image by image, so that all between x and z stays in a core's cache and only z is written; the moments of z,
// which the BatchNorm behind it needs, are taken on the way.
//
// Sums are taken over images, or over pieces of a fixed number of them, and added in order: results do not depend on
// the number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "simd.h"

template <class T> constexpr i64 whole_lines(i64 size) {
  const i64 line = LINE / sizeof(T);
  return (size + line - 1) / line * line;
}

struct Unit {
  i64 B, H, W, C, out_H, out_W, out_C;  // out_C = 0: no pointwise convolution
  i64 kernel, stride, dilation;         // kernel = 0: no depthwise convolution
  i64 even;                             // how many of out_C are made of the even pixels; 0: the resolution stays
  i64 pad() const { return kernel ? dilation * (kernel / 2) : 0; }
  i64 wide() const { return W + 2 * pad(); }
  i64 room() const { return whole_lines<float>((H + 2 * pad()) * wide() * C); }
  i64 taps() const { return kernel * kernel; }
  i64 pixels() const { return out_H * out_W; }
  i64 made() const { return out_C ? out_C : C; }
};

struct InFront {  // the BatchNorm in front of a unit, then the clamp
  const double *mean, *var;  // null: no BatchNorm
  double eps;
  i64 batch;  // whether they are the batch's own
  i64 clamp;
  double lo, hi;
};

// Memory of the calling thread that lasts: as much as the largest call wanted, with what that left in it.
template <class T, int slot> T *scratch(i64 size) {
  static thread_local Row<T> kept;
  if (size > i64(kept.size())) kept.clear(), kept.resize(size);
  return kept.data();
}

// What a unit does to its input first: the BatchNorm's scale and offset per channel, and the clamp.
template <class T> struct Entry {
  Row<T> scale, offset, mean;
  bool normed, clamp;
  T lo, hi;

  Entry(const InFront &norm, i64 C) : normed(norm.mean), clamp(norm.clamp), lo(norm.lo), hi(norm.hi) {
    for (i64 c = 0; normed && c < C; ++c) {
      const double inverse = 1.0 / std::sqrt(norm.var[c] + norm.eps);
      scale.push_back(inverse), offset.push_back(-norm.mean[c] * inverse), mean.push_back(norm.mean[c]);
    }
  }
  bool empty() const { return !normed && !clamp; }
  template <class V> V normalised(V v, i64 c) const {
    return normed ? load<V>(&scale[c]) * v + load<V>(&offset[c]) : v;
  }
  template <class V> V operator()(V v, i64 c) const {
    v = normalised(v, c);
    if (!clamp) return v;
    v = v < V{} + lo ? V{} + lo : v;  // NaN passes
    return v > V{} + hi ? V{} + hi : v;
  }
  // dL/d(normalised) from g = dL/d(clamped)
  template <class V> V back(V g, V v, i64 c) const {
    if (!clamp) return g;
    v = normalised(v, c);
    return v > V{} + lo && v < V{} + hi ? g : V{};
  }
};

// One image behind the entry, with zeros around it.
template <class T> void enter(const Unit &s, const T *image, const Entry<T> &entry, T *to) {
  const i64 pad = s.pad(), border = pad * s.C, line = s.wide() * s.C;
  std::fill(to, to + pad * line, T(0));
  for (i64 h = 0; h < s.H; ++h) {
    T *row = to + (h + pad) * line;
    std::fill(row, row + border, T(0));
    for_channels<T>(s.C, [&](i64 c, auto width) {
      using V = typename Lanes<T, width>::real;
      const T *from = image + h * s.W * s.C + c;
      for (i64 w = 0; w < s.W; ++w) store(row + border + w * s.C + c, entry(load<V>(from + w * s.C), c));
    });
    std::fill(row + line - border, row + line, T(0));
  }
  std::fill(to + (s.H + pad) * line, to + (s.H + 2 * pad) * line, T(0));
}

// Run `work(at, Width<r>)` over n pixels, r at once.
template <class Work> inline void for_pixels(i64 n, Work work) {
  i64 at = 0;
  for (; at + 8 <= n; at += 8) work(at, Width<8>{});
  for (; at + 4 <= n; at += 4) work(at, Width<4>{});
  for (; at < n; ++at) work(at, Width<1>{});
}

// A line of n pixels of a depthwise convolution; `in` is the padded image from the line's first window on.
template <class T>
inline void depthwise(const Unit &s, const T *in, const T *taps, i64 stride, i64 n, T *out) {
  const i64 line = s.dilation * s.wide() * s.C, column = s.dilation * s.C, next = stride * s.C;
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

struct Matrix {  // of a pointwise convolution: K channels to M, and how far lines of it, and pixels, are apart
  i64 K, M, line, in_step, out_step;
};

// out (n, M) = in (n, K) times matrix (K, M).
template <class T> inline void pointwise(const Matrix &s, const T *in, i64 n, const T *matrix, T *out) {
  for_channels<T>(s.M, [&](i64 c, auto width) {
    using V = typename Lanes<T, width>::real;
    for_pixels(n, [&](i64 p, auto pixels) {
      constexpr int R = pixels;
      V sum[R] = {};
      const T *from = in + p * s.in_step;
      for (i64 k = 0; k < s.K; ++k) {
        const V m = load<V>(matrix + k * s.line + c);
        for (int r = 0; r < R; ++r) sum[r] += m * from[r * s.in_step + k];
      }
      for (int r = 0; r < R; ++r) store(out + (p + r) * s.out_step + c, sum[r]);
    });
  });
}

// The pixels that one of the two halves looks at; none where the resolution stays.
struct Half {
  i64 at;            // 0: even ones, 1: odd ones
  i64 from, count;   // of the channels made
};
inline std::vector<Half> halves(const Unit &s) {
  if (!s.even) return {};
  return {{0, 0, s.even}, {1, s.even, s.out_C - s.even}};
}

// Line h of a half's pixels, (out_W, C), zeros where the image ends.
template <class T> void half_line(const Unit &s, const T *image, const Half &half, i64 h, T *row) {
  const i64 line = 2 * h + half.at;
  for (i64 w = 0; w < s.out_W; ++w) {
    const i64 column = 2 * w + half.at;
    if (line < s.H && column < s.W) std::copy_n(image + (line * s.W + column) * s.C, s.C, row + w * s.C);
    else std::fill_n(row + w * s.C, s.C, T(0));
  }
}

// The transpose of (rows, columns).
template <class T> Row<T> turned(const T *matrix, i64 rows, i64 columns) {
  Row<T> found(rows * columns);
  for (i64 r = 0; r < rows; ++r)
    for (i64 c = 0; c < columns; ++c) found[c * rows + r] = matrix[r * columns + c];
  return found;
}
