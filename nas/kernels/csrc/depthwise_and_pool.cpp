// Convolutions and pools on square windows, over images in channels_last: the gradient by a depthwise weight and both
// pools, which torch computes slowly on a CPU.

#include <cmath>

#include "simd.h"

struct WindowSizes {
  i64 B, C, H, W, out_H, out_W, kernel, stride, padding, dilation;
};

// Add one line's part of the gradient by row `kh` of the weight; first..last: the columns whose windows lie inside.
template <class T, int K>
void add_weight_grad_line(const WindowSizes &s, const T *line, const T *grad, i64 first, i64 last, double *sums) {
  for_channels<T>(s.C, [&](i64 c, auto width) {
    constexpr int N = width;
    using V = typename Lanes<T, N>::real;
    V sum[K] = {};
    const auto add_at_border = [&](i64 w) {
      for (int kw = 0; kw < K; ++kw) {
        const i64 in_w = w * s.stride - s.padding + kw * s.dilation;
        if (in_w >= 0 && in_w < s.W) sum[kw] += load<V>(grad + w * s.C + c) * load<V>(line + in_w * s.C + c);
      }
    };
    i64 w = 0;
    for (; w < std::min(first, s.out_W); ++w) add_at_border(w);
    for (; w < last; ++w) {
      const V g = load<V>(grad + w * s.C + c);
      const T *window = line + (w * s.stride - s.padding) * s.C + c;
      for (int kw = 0; kw < K; ++kw) sum[kw] += g * load<V>(window + kw * s.dilation * s.C);
    }
    for (; w < s.out_W; ++w) add_at_border(w);
    for (int kw = 0; kw < K; ++kw)
      for (int l = 0; l < N; ++l) sums[kw * s.C + c + l] += sum[kw][l];
  });
}

// The gradient by a depthwise weight, (kernel, kernel, C).
template <class T, int K>
void depthwise_weight(const T *x, const T *grad_output, const WindowSizes &s, double *grad_weight, int threads) {
  const i64 row = K * K * s.C;
  std::vector<double> images(s.B * row);
  const i64 first = divide_up(s.padding, s.stride);
  const i64 last = std::min(s.out_W, (s.W - 1 - (K - 1) * s.dilation + s.padding + s.stride) / s.stride);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 b = 0; b < s.B; ++b)
    for (i64 h = 0; h < s.out_H; ++h)
      for (i64 kh = 0; kh < K; ++kh) {
        const i64 in_h = h * s.stride - s.padding + kh * s.dilation;
        if (in_h < 0 || in_h >= s.H) continue;
        const T *line = x + (b * s.H + in_h) * s.W * s.C, *grad = grad_output + (b * s.out_H + h) * s.out_W * s.C;
        add_weight_grad_line<T, K>(s, line, grad, first, last, &images[b * row + kh * K * s.C]);
      }
  sum_rows(images, row, grad_weight);
}

// Call `work(tap, other, out_w, in_w, n)` for the taps of output line h that lie in the image, or, if `backward`, for
// those that see input line h; `other` is the line at their other end. From the pixels out_w and in_w of the two lines
// on, n neighboring numbers correspond to each other.
template <class Work> void for_taps(const WindowSizes &s, i64 h, bool backward, Work work) {
  for (i64 tap = 0; tap < s.kernel * s.kernel; ++tap) {
    const i64 down = tap / s.kernel - s.padding, across = tap % s.kernel - s.padding;
    const i64 line = backward ? h - down : h * s.stride + down, step = backward ? s.stride : 1;
    if (line < 0 || line % step || line / step >= (backward ? s.out_H : s.H)) continue;
    const i64 first = std::max<i64>(0, (s.stride - 1 - across) / s.stride);
    const i64 last = across < s.W ? std::min(s.out_W, (s.W - 1 - across) / s.stride + 1) : 0;
    if (s.stride == 1 && first < last) work(tap, line / step, first, first + across, (last - first) * s.C);
    for (i64 w = first; s.stride > 1 && w < last; ++w) work(tap, line / step, w, w * s.stride + across, s.C);
  }
}

// Write the first tap of each window of output line h that lies in the image.
inline void write_first_taps(const WindowSizes &s, i64 h, u8 *argmax) {
  const i64 tap = std::max<i64>(0, s.padding - h * s.stride) * s.kernel;
  std::fill_n(argmax, s.out_W * s.C, u8(tap));
  for (i64 w = 0; w < s.out_W && w * s.stride < s.padding; ++w)
    std::fill_n(argmax + w * s.C, s.C, u8(tap + s.padding - w * s.stride));
}

// The maximum of each window; `argmax` is the tap it was found at: the first of equal ones, the last NaN, as in torch.
template <class T> void max_pool_forward(const T *x, const WindowSizes &s, T *out, u8 *argmax, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 line = 0; line < s.B * s.out_H; ++line) {
    const i64 b = line / s.out_H, row = line * s.out_W * s.C;
    std::fill_n(out + row, s.out_W * s.C, -T(INFINITY));
    write_first_taps(s, line % s.out_H, argmax + row);
    for_taps(s, line % s.out_H, false, [&](i64 tap, i64 in_h, i64 out_w, i64 in_w, i64 n) {
      const T *from = x + ((b * s.H + in_h) * s.W + in_w) * s.C;
      T *best = out + row + out_w * s.C;
      u8 *taps = argmax + row + out_w * s.C;
      for_channels<T>(n, [&](i64 at, auto width) {
        using L = Lanes<T, width>;
        using V = typename L::real;
        using B = typename L::byte;
        const V value = load<V>(from + at), old = load<V>(best + at);
        const typename L::integer better = (value > old) | (value != value);  // NaN wins, as in torch
        const B chosen = __builtin_convertvector(better, B);
        store(best + at, better ? value : old);
        store(taps + at, (chosen & u8(tap)) | (~chosen & load<B>(taps + at)));
      });
    });
  }
}

template <class T>
void max_pool_backward(const T *grad_output, const u8 *argmax, const WindowSizes &s, T *grad_x, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 line = 0; line < s.B * s.H; ++line) {
    const i64 b = line / s.H, row = line * s.W * s.C;
    std::fill_n(grad_x + row, s.W * s.C, T(0));
    for_taps(s, line % s.H, true, [&](i64 tap, i64 out_h, i64 out_w, i64 in_w, i64 n) {
      const i64 from = ((b * s.out_H + out_h) * s.out_W + out_w) * s.C;
      T *to = grad_x + row + in_w * s.C;
      for_channels<T>(n, [&](i64 at, auto width) {
        using L = Lanes<T, width>;
        using V = typename L::real;
        const auto taps = __builtin_convertvector(load<typename L::byte>(argmax + from + at), typename L::integer);
        const V value = load<V>(grad_output + from + at);
        store(to + at, load<V>(to + at) + (taps == typename L::integer{} + typename L::index(tap) ? value : V{}));
      });
    });
  }
}

// The number of a window's lines, or columns, that lie in the image: `at` in the output, `size` in the image.
inline i64 window_size(const WindowSizes &s, i64 at, i64 size) {
  const i64 first = at * s.stride - s.padding;
  return std::min(size, first + s.kernel) - std::max<i64>(0, first);
}

// Write to `to` the line `from` divided by the number of pixels of each window of output line h.
template <class T> void divide_by_window_size(const WindowSizes &s, i64 h, const T *from, T *to) {
  const i64 lines = window_size(s, h, s.H);
  for (i64 w = 0; w < s.out_W; ++w) {
    const T share = T(1) / T(lines * window_size(s, w, s.W));
    for_channels<T>(s.C, [&](i64 c, auto width) {
      using V = typename Lanes<T, width>::real;
      store(to + w * s.C + c, load<V>(from + w * s.C + c) * share);
    });
  }
}

// Add n neighboring numbers to `to`.
template <class T> inline void add_line(const T *from, i64 n, T *to) {
  for_channels<T>(n, [&](i64 at, auto width) {
    using V = typename Lanes<T, width>::real;
    store(to + at, load<V>(to + at) + load<V>(from + at));
  });
}

// The mean of each window over its pixels in the image.
template <class T> void average_pool_forward(const T *x, const WindowSizes &s, T *out, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 line = 0; line < s.B * s.out_H; ++line) {
    T *row = out + line * s.out_W * s.C;
    std::fill_n(row, s.out_W * s.C, T(0));
    for_taps(s, line % s.out_H, false, [&](i64, i64 in_h, i64 out_w, i64 in_w, i64 n) {
      add_line(x + ((line / s.out_H * s.H + in_h) * s.W + in_w) * s.C, n, row + out_w * s.C);
    });
    divide_by_window_size(s, line % s.out_H, row, row);
  }
}

// `workspace` is as large as grad_output.
template <class T>
void average_pool_backward(const T *grad_output, const WindowSizes &s, T *workspace, T *grad_x, int threads) {
  const i64 out_row = s.out_W * s.C;
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (i64 line = 0; line < s.B * s.out_H; ++line)
      divide_by_window_size(s, line % s.out_H, grad_output + line * out_row, workspace + line * out_row);
#pragma omp for schedule(static)
    for (i64 line = 0; line < s.B * s.H; ++line) {
      T *row = grad_x + line * s.W * s.C;
      std::fill_n(row, s.W * s.C, T(0));
      for_taps(s, line % s.H, true, [&](i64, i64 out_h, i64 out_w, i64 in_w, i64 n) {
        add_line(workspace + (line / s.H * s.out_H + out_h) * out_row + out_w * s.C, n, row + in_w * s.C);
      });
    }
  }
}

#define EXPORT(T, suffix)                                                                                             \
  extern "C" bool depthwise_weight_##suffix(const T *x, const T *grad_output, const WindowSizes *s,                   \
                                            double *grad_weight, int threads) {                                       \
    return enough_memory_for([&] {                                                                                    \
      (s->kernel == 3   ? depthwise_weight<T, 3>                                                                      \
       : s->kernel == 5 ? depthwise_weight<T, 5>                                                                      \
                        : depthwise_weight<T, 7>)(x, grad_output, *s, grad_weight, threads);                          \
    });                                                                                                               \
  }                                                                                                                   \
  extern "C" bool max_pool_forward_##suffix(const T *x, const WindowSizes *s, T *out, u8 *argmax, int threads) {      \
    return enough_memory_for([&] { max_pool_forward<T>(x, *s, out, argmax, threads); });                              \
  }                                                                                                                   \
  extern "C" bool max_pool_backward_##suffix(const T *grad_output, const u8 *argmax, const WindowSizes *s, T *grad_x, \
                                             int threads) {                                                           \
    return enough_memory_for([&] { max_pool_backward<T>(grad_output, argmax, *s, grad_x, threads); });                \
  }                                                                                                                   \
  extern "C" bool average_pool_forward_##suffix(const T *x, const WindowSizes *s, T *out, int threads) {              \
    return enough_memory_for([&] { average_pool_forward<T>(x, *s, out, threads); });                                  \
  }                                                                                                                   \
  extern "C" bool average_pool_backward_##suffix(const T *grad_output, const WindowSizes *s, T *workspace, T *grad_x, \
                                                 int threads) {                                                       \
    return enough_memory_for([&] { average_pool_backward<T>(grad_output, *s, workspace, grad_x, threads); });         \
  }

EXPORT(float, f32)
EXPORT(double, f64)
