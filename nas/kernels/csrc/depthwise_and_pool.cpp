// Square windows over images in channels_last: what stock torch is slow at on a CPU, the gradient by a depthwise weight
// and both pools.

#include <algorithm>
#include <cmath>
#include <vector>

#include "simd.h"

struct Window {  // of a convolution or pool: sizes of the images and of the square window
  i64 B, C, H, W, out_H, out_W, kernel, stride, padding, dilation;
};

// dL/dweight of a depthwise convolution, as (kernel, kernel, C).
template <class T, int K> void depthwise_weight(const T *x, const T *g, const Window &s, double *out, int threads) {
  const i64 row = K * K * s.C;
  std::vector<double> parts(s.B * row);
  const i64 first = (s.padding + s.stride - 1) / s.stride;  // columns out of whose window nothing hangs
  const i64 last = std::min(s.out_W, (s.W - 1 - (K - 1) * s.dilation + s.padding + s.stride) / s.stride);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 b = 0; b < s.B; ++b)
    for (i64 h = 0; h < s.out_H; ++h)
      for (i64 kh = 0; kh < K; ++kh) {
        const i64 in_h = h * s.stride - s.padding + kh * s.dilation;
        if (in_h < 0 || in_h >= s.H) continue;
        const T *line = x + (b * s.H + in_h) * s.W * s.C, *slope = g + (b * s.out_H + h) * s.out_W * s.C;
        double *part = &parts[b * row + kh * K * s.C];
        for_channels<T>(s.C, [&](i64 c, auto width) {
          constexpr int N = width;
          using V = typename Lanes<T, N>::real;
          V acc[K] = {};
          const auto at_edge = [&](i64 w) {
            for (int kw = 0; kw < K; ++kw) {
              const i64 in_w = w * s.stride - s.padding + kw * s.dilation;
              if (in_w >= 0 && in_w < s.W) acc[kw] += load<V>(slope + w * s.C + c) * load<V>(line + in_w * s.C + c);
            }
          };
          i64 w = 0;
          for (; w < std::min(first, s.out_W); ++w) at_edge(w);
          for (; w < last; ++w) {
            const V y = load<V>(slope + w * s.C + c);
            const T *window = line + (w * s.stride - s.padding) * s.C + c;
            for (int kw = 0; kw < K; ++kw) acc[kw] += y * load<V>(window + kw * s.dilation * s.C);
          }
          for (; w < s.out_W; ++w) at_edge(w);
          for (int kw = 0; kw < K; ++kw)
            for (int l = 0; l < N; ++l) part[kw * s.C + c + l] += acc[kw][l];
        });
      }
  add_rows(parts, row, out);
}

// Run `work(tap, other, out_w, in_w, n)` over the taps of output line h that lie in the image, or, `back`, over those
// that see input line h; `other` is the line at their other end. From the pixels out_w and in_w of the two lines on, n
// neighbouring elements belong to each other.
template <class Work> void for_taps(const Window &s, i64 h, bool back, Work work) {
  for (i64 tap = 0; tap < s.kernel * s.kernel; ++tap) {
    const i64 down = tap / s.kernel - s.padding, across = tap % s.kernel - s.padding;
    const i64 line = back ? h - down : h * s.stride + down, step = back ? s.stride : 1;
    if (line < 0 || line % step || line / step >= (back ? s.out_H : s.H)) continue;
    const i64 first = std::max<i64>(0, (s.stride - 1 - across) / s.stride);
    const i64 last = across < s.W ? std::min(s.out_W, (s.W - 1 - across) / s.stride + 1) : 0;
    if (s.stride == 1 && first < last) work(tap, line / step, first, first + across, (last - first) * s.C);
    for (i64 w = first; s.stride > 1 && w < last; ++w) work(tap, line / step, w, w * s.stride + across, s.C);
  }
}

// Maximum over windows; `place` keeps which of the window's pixels it was, the first of equals.
template <class T> void max_pool_forward(const T *x, const Window &s, T *out, u8 *place, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 line = 0; line < s.B * s.out_H; ++line) {
    const i64 b = line / s.out_H, row = line * s.out_W * s.C;
    std::fill_n(out + row, s.out_W * s.C, -T(INFINITY)), std::fill_n(place + row, s.out_W * s.C, u8(0));
    for_taps(s, line % s.out_H, false, [&](i64 tap, i64 in_h, i64 out_w, i64 in_w, i64 n) {
      const T *from = x + ((b * s.H + in_h) * s.W + in_w) * s.C;
      T *best = out + row + out_w * s.C;
      u8 *found = place + row + out_w * s.C;
      for_channels<T>(n, [&](i64 at, auto width) {
        using L = Lanes<T, width>;
        using V = typename L::real;
        using B = typename L::byte;
        const V value = load<V>(from + at), old = load<V>(best + at);
        const typename L::whole better = (value > old) | (value != value);  // NaN wins, as in torch
        const B chosen = __builtin_convertvector(better, B);
        store(best + at, better ? value : old);
        store(found + at, (chosen & u8(tap)) | (~chosen & load<B>(found + at)));
      });
    });
  }
}

template <class T> void max_pool_backward(const T *g, const u8 *place, const Window &s, T *gx, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 line = 0; line < s.B * s.H; ++line) {
    const i64 b = line / s.H, row = line * s.W * s.C;
    std::fill_n(gx + row, s.W * s.C, T(0));
    for_taps(s, line % s.H, true, [&](i64 tap, i64 out_h, i64 out_w, i64 in_w, i64 n) {
      const i64 from = ((b * s.out_H + out_h) * s.out_W + out_w) * s.C;
      T *to = gx + row + in_w * s.C;
      for_channels<T>(n, [&](i64 at, auto width) {
        using L = Lanes<T, width>;
        using V = typename L::real;
        const auto which = __builtin_convertvector(load<typename L::byte>(place + from + at), typename L::whole);
        const V value = load<V>(g + from + at);
        store(to + at, load<V>(to + at) + (which == typename L::whole{} + typename L::index(tap) ? value : V{}));
      });
    });
  }
}

// How many of a window's lines, or columns, lie in the image: `at` in the output, `size` in the image.
inline i64 there(const Window &s, i64 at, i64 size) {
  const i64 first = at * s.stride - s.padding;
  return std::min(size, first + s.kernel) - std::max<i64>(0, first);
}

// `from` over the number of pixels that the windows of output line h have, to `to`.
template <class T> void over_pixels(const Window &s, i64 h, const T *from, T *to) {
  const i64 lines = there(s, h, s.H);
  for (i64 w = 0; w < s.out_W; ++w) {
    const T share = T(1) / T(lines * there(s, w, s.W));
    for_channels<T>(s.C, [&](i64 c, auto width) {
      using V = typename Lanes<T, width>::real;
      store(to + w * s.C + c, load<V>(from + w * s.C + c) * share);
    });
  }
}

// to += from, n neighbours.
template <class T> inline void add_line(const T *from, i64 n, T *to) {
  for_channels<T>(n, [&](i64 at, auto width) {
    using V = typename Lanes<T, width>::real;
    store(to + at, load<V>(to + at) + load<V>(from + at));
  });
}

// Mean over the pixels of the window that exist.
template <class T> void average_pool_forward(const T *x, const Window &s, T *out, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 line = 0; line < s.B * s.out_H; ++line) {
    T *row = out + line * s.out_W * s.C;
    std::fill_n(row, s.out_W * s.C, T(0));
    for_taps(s, line % s.out_H, false, [&](i64, i64 in_h, i64 out_w, i64 in_w, i64 n) {
      add_line(x + ((line / s.out_H * s.H + in_h) * s.W + in_w) * s.C, n, row + out_w * s.C);
    });
    over_pixels(s, line % s.out_H, row, row);
  }
}

// `shared` is room for g over the numbers of pixels.
template <class T> void average_pool_backward(const T *g, const Window &s, T *shared, T *gx, int threads) {
  const i64 out_row = s.out_W * s.C;
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (i64 line = 0; line < s.B * s.out_H; ++line)
      over_pixels(s, line % s.out_H, g + line * out_row, shared + line * out_row);
#pragma omp for schedule(static)
    for (i64 line = 0; line < s.B * s.H; ++line) {
      T *row = gx + line * s.W * s.C;
      std::fill_n(row, s.W * s.C, T(0));
      for_taps(s, line % s.H, true, [&](i64, i64 out_h, i64 out_w, i64 in_w, i64 n) {
        add_line(shared + (line / s.H * s.out_H + out_h) * out_row + out_w * s.C, n, row + in_w * s.C);
      });
    }
  }
}

#define EXPORT(T, suffix)                                                                                             \
  extern "C" bool depthwise_weight_##suffix(const T *x, const T *g, const Window *s, double *out, int threads) {      \
    return enough_memory_for([&] {                                                                                    \
      (s->kernel == 3   ? depthwise_weight<T, 3>                                                                      \
       : s->kernel == 5 ? depthwise_weight<T, 5>                                                                      \
                        : depthwise_weight<T, 7>)(x, g, *s, out, threads);                                            \
    });                                                                                                               \
  }                                                                                                                   \
  extern "C" bool max_pool_forward_##suffix(const T *x, const Window *s, T *out, u8 *place, int threads) {            \
    return enough_memory_for([&] { max_pool_forward<T>(x, *s, out, place, threads); });                               \
  }                                                                                                                   \
  extern "C" bool max_pool_backward_##suffix(const T *g, const u8 *place, const Window *s, T *gx, int threads) {      \
    return enough_memory_for([&] { max_pool_backward<T>(g, place, *s, gx, threads); });                               \
  }                                                                                                                   \
  extern "C" bool average_pool_forward_##suffix(const T *x, const Window *s, T *out, int threads) {                   \
    return enough_memory_for([&] { average_pool_forward<T>(x, *s, out, threads); });                                  \
  }                                                                                                                   \
  extern "C" bool average_pool_backward_##suffix(const T *g, const Window *s, T *shared, T *gx, int threads) {        \
    return enough_memory_for([&] { average_pool_backward<T>(g, *s, shared, gx, threads); });                          \
  }

EXPORT(float, f32)
EXPORT(double, f64)
