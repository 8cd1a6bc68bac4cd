// The gradients of a unit of convolutions, see conv_unit.h.

#include "conv_unit.h"

constexpr i64 MAX_PIECES = 16;  // of a batch, for the weights' gradients: each piece has sums of its own

// What the gradient by z is made of: the rows of BatchNormGrad applied to grad and z, or grad itself if rows is null.
template <class T> struct GradOutput {
  const T *grad;
  i64 pixel_stride;
  const T *z, *rows;
};

// Add the gradient by the depthwise weight of one image, (k, k, C); both images are padded, and the pixels of
// grad_middle are the stride apart.
template <class T, int K>
void add_depthwise_grad(const UnitSizes &s, const T *in, const T *grad_middle, double *sums) {
  constexpr int U = K == 3 ? 4 : 2;  // pixels whose sums do not wait for each other
  const i64 next = s.stride * s.C, column = s.dilation * s.C, line = s.padded_line();
  for_channels<T>(s.C, [&](i64 c, auto width) {
    constexpr int N = width;
    using V = typename Lanes<T, N>::real;
    for (i64 i = 0; i < K; ++i) {
      V sum[U][K] = {};
      for (i64 h = 0; h < s.out_H; ++h) {
        const T *from = in + (h * s.stride + i * s.dilation) * line + c;
        const T *grad = grad_middle + (h * s.stride + s.pad()) * line + s.pad() * s.C + c;
        const auto add = [&](i64 w, int u) {
          const V g = load<V>(grad + w * next);
          for (int j = 0; j < K; ++j) sum[u][j] += g * load<V>(from + w * next + j * column);
        };
        i64 w = 0;
        for (; w + U <= s.out_W; w += U)
          for (int u = 0; u < U; ++u) add(w + u, u);
        for (; w < s.out_W; ++w) add(w, 0);
      }
      for (int u = 1; u < U; ++u)
        for (int j = 0; j < K; ++j) sum[0][j] += sum[u][j];
      for (int j = 0; j < K; ++j)
        for (int l = 0; l < N; ++l) sums[(i * K + j) * s.C + c + l] += sum[0][j][l];
    }
  });
}

// Add the gradient by a pointwise weight of one image, (M, C): the sum over n pixels of grad (n, M) times in (n, C).
template <class T>
void add_pointwise_grad(const T *in, i64 n, i64 C, const T *grad, i64 pixel_stride, i64 M, double *sums) {
  for_channels<T>(C, [&](i64 c, auto width) {
    constexpr int N = width;
    using V = typename Lanes<T, N>::real;
    for_pixels(M, [&](i64 m, auto rows) {
      constexpr int R = rows;
      V sum[R] = {};
      for (i64 p = 0; p < n; ++p) {
        const V v = load<V>(in + p * C + c);
        for (int r = 0; r < R; ++r) sum[r] += v * grad[p * pixel_stride + m + r];
      }
      for (int r = 0; r < R; ++r)
        for (int l = 0; l < N; ++l) sums[(m + r) * C + c + l] += sum[r][l];
    });
  });
}

template <class T> struct UnitBackward {
  const UnitSizes &s;
  const T *x, *pointwise_weight;
  const GradOutput<T> grad_output;
  T *grad_x;  // null: not wanted
  const bool accumulate, norm, wants_depthwise, wants_pointwise;
  const NormClamp<T> prologue;
  const AlignedVector<T> taps;
  AlignedVector<T> flipped_taps;
  const std::vector<Half> pairs;
  const i64 M, C, P, line;
  const bool direct;  // whether the convolutions read x itself

  struct Workspace {  // of one thread
    T *grad_middle;   // the gradient by the depthwise convolution's output, or by the prologue's: padded
    T *padded, *grad_z, *middle, *row;
  };

  i64 workspace_size() const {
    return 2 * s.padded_size() + round_to_cache_line<T>(P * M) + round_to_cache_line<T>(P * C) +
           round_to_cache_line<T>(s.W * C);
  }
  Workspace divide(T *memory) const {
    T *padded = memory + s.padded_size(), *grad_z = padded + s.padded_size();
    T *middle = grad_z + round_to_cache_line<T>(P * M), *row = middle + round_to_cache_line<T>(P * C);
    std::fill(memory, padded, T(0));  // between the strides, and around the image, the zeros stay
    return {memory, padded, grad_z, middle, row};
  }

  void prefetch_grad_output(i64 pixel, i64 n) const {
    if (grad_output.rows) prefetch(grad_output.z + pixel * M, n * M);
    if (grad_output.pixel_stride == M) return prefetch(grad_output.grad + pixel * M, n * M);
    for (i64 p = pixel; p < pixel + n; ++p) prefetch(grad_output.grad + p * grad_output.pixel_stride, M);
  }

  // The gradient by z of image b, dense; in `memory` unless it already lies somewhere.
  const T *grad_z(i64 b, T *memory) const {
    const i64 stride = grad_output.pixel_stride;
    const T *grad = grad_output.grad + b * P * stride;
    if (!grad_output.rows && stride == M) return grad;
    for_channels<T>(M, [&](i64 c, auto width) {
      using V = typename Lanes<T, width>::real;
      if (!grad_output.rows) {
        for (i64 p = 0; p < P; ++p) store(memory + p * M + c, load<V>(grad + p * stride + c));
        return;
      }
      const T *z = grad_output.z + b * P * M + c;
      const GradRows<T, V> norm_grad(grad_output.rows, M, c);
      const bool uses_z = norm_grad.uses_z();
      for (i64 p = 0; uses_z && p < P; ++p)
        store(memory + p * M + c, norm_grad(load<V>(grad + p * stride + c), load<V>(z + p * M)));
      for (i64 p = 0; !uses_z && p < P; ++p)
        store(memory + p * M + c, norm_grad.without_z(load<V>(grad + p * stride + c)));
    });
    return memory;
  }

  // Write one line of the gradient by the pointwise convolution's input, to the pixels that this line has read.
  void pointwise_backward_line(const T *grad_z, i64 h, T *to) const {
    const i64 step = (s.kernel ? s.stride : 1) * C;
    const T *from = grad_z + h * s.out_W * M;
    T *row = to + (h * s.stride + s.pad()) * line + s.pad() * C;
    if (s.even) {
      for (const Half &half : pairs) {
        const i64 up = 2 * h + half.offset, n = std::min(s.out_W, (s.W - half.offset + 1) / 2);
        if (up >= s.H) continue;
        const PointwiseSizes sizes{half.count, C, C, M, 2 * C};
        pointwise(sizes, from + half.from, n, pointwise_weight + half.from * C, to + (up * s.W + half.offset) * C);
      }
    } else if (s.out_C) {
      pointwise({M, C, C, M, step}, from, s.out_W, pointwise_weight, row);
    } else {
      for (i64 w = 0; w < s.out_W; ++w) std::copy_n(from + w * C, C, row + w * step);
    }
  }

  // Write the gradient by the prologue's output, before the transposed depthwise convolution, to own.grad_middle.
  void middle_backward(i64 b, const T *grad_z, const Workspace &own) const {
    const i64 image = b * s.pixels() * C;
    for (i64 h = 0; h < s.out_H; ++h) {
      const i64 from = h * s.H / s.out_H * s.W * C, n = (h + 1) * s.H / s.out_H * s.W * C - from;
      prefetch(x + image + from, n);
      if (grad_x) prefetch<true>(grad_x + image + from, n);
      pointwise_backward_line(grad_z, h, own.grad_middle);
    }
  }

  // Add the weights' gradients of one image to `sums`, those of the depthwise weight first.
  void add_weight_grads(const T *image, const T *grad_z, const Workspace &own, double *sums) const {
    if (!direct) pad_image(s, image, prologue, own.padded);
    const T *in = direct ? image : own.padded;
    if (wants_depthwise) {
      (s.kernel == 3   ? add_depthwise_grad<T, 3>
       : s.kernel == 5 ? add_depthwise_grad<T, 5>
                       : add_depthwise_grad<T, 7>)(s, in, own.grad_middle, sums);
      sums += s.taps() * C;
    }
    if (!wants_pointwise) return;
    for (const Half &half : pairs) {
      for (i64 h = 0; h < s.out_H; ++h) copy_half_line(s, in, half, h, own.middle + h * s.out_W * C);
      add_pointwise_grad(own.middle, P, C, grad_z + half.from, M, half.count, sums + half.from * C);
    }
    if (s.even) return;
    for (i64 h = 0; s.kernel && h < s.out_H; ++h)
      depthwise(s, in + h * s.stride * line, taps.data(), s.stride, s.out_W, own.middle + h * s.out_W * C);
    add_pointwise_grad(s.kernel ? own.middle : in, P, C, grad_z, M, M, sums);
  }

  // Write line h of the gradient by norm(x), or add it, and add it to the BatchNorm's sums (2, C).
  void input_grad_line(const T *image, const Workspace &own, i64 h, T *to, double *sums) const {
    const T *grad = own.grad_middle + h * s.W * C, *in = image + h * s.W * C;
    if (s.kernel) depthwise(s, own.grad_middle + h * line, flipped_taps.data(), 1, s.W, own.row), grad = own.row;
    const bool norm = this->norm, accumulate = this->accumulate;  // else they are read again after each store
    for_channels<T>(C, [&](i64 c, auto width) {
      using V = typename Lanes<T, width>::real;
      const V mean = norm ? load<V>(&prologue.mean[c]) : V{};
      const auto pixel = [&](i64 w, V &g, V &d) {
        const V v = load<V>(in + w * C + c);
        g = prologue.clamp_backward(load<V>(grad + w * C + c), v, c), d = v - mean;
        store(to + w * C + c, accumulate ? g + load<V>(to + w * C + c) : g);
      };
      if (norm) return add_sums<T, width>(s.W, pixel, sums + c, sums + C + c);
      V g, d;
      for (i64 w = 0; w < s.W; ++w) pixel(w, g, d);
    });
  }

  // All gradients of image b: its weights' added to `sums`, its BatchNorm's sums written to `norm_sums` (2, C).
  void image_backward(i64 b, const Workspace &own, double *sums, double *norm_sums) const {
    const T *image = x + b * s.pixels() * C, *grad = grad_z(b, own.grad_z);
    middle_backward(b, grad, own);
    if (wants_depthwise || wants_pointwise) add_weight_grads(image, grad, own, sums);
    if (!grad_x) return;
    std::fill(norm_sums, norm_sums + 2 * C, 0.0);
    for (i64 h = 0; h < s.H; ++h) {
      if (b + 1 < s.B) {
        const i64 from = h * s.out_H / s.H * s.out_W, n = (h + 1) * s.out_H / s.H * s.out_W - from;
        prefetch_grad_output((b + 1) * P + from, n);
      }
      input_grad_line(image, own, h, grad_x + (b * s.H + h) * s.W * C, norm_sums);
    }
  }
};

// The rows of BatchNormGrad for the BatchNorm of the prologue. sums: (B, 2, C), as image_backward writes them.
template <class T>
void prologue_grad_rows(const UnitSizes &s, const UnitPrologue &prologue, const double *sums, T *rows) {
  const BatchNormGrad<T> norm_grad{rows, s.C};
  for (i64 c = 0; c < s.C; ++c) {
    double sum = 0, dot = 0;
    for (i64 b = 0; b < s.B; ++b) sum += sums[b * 2 * s.C + c], dot += sums[(b * 2 + 1) * s.C + c];
    const double inverse_std = 1.0 / std::sqrt(prologue.var[c] + prologue.eps);
    norm_grad.set(c, prologue.batch, 1.0, inverse_std, prologue.mean[c], sum, dot, double(s.B * s.pixels()));
  }
}

// The gradients that are not null. grad_x: by norm(x), added to what is there if `accumulate`; the rows of
// BatchNormGrad in `rows` turn it into the gradient by x. Weights as in torch: (C, 1, k, k) and (out_C, C, 1, 1).
template <class T>
void unit_backward(const UnitSizes &s, const T *x, const UnitPrologue &prologue, const T *depthwise_weight,
                   const T *pointwise_weight, const GradOutput<T> &grad_output, T *grad_x, bool accumulate, T *rows,
                   T *grad_depthwise, T *grad_pointwise, int threads) {
  const i64 M = s.z_channels(), C = s.C, taps = s.taps();
  const NormClamp<T> norm_clamp(prologue, C);
  UnitBackward<T> unit{s, x, pointwise_weight, grad_output, grad_x, accumulate, rows != nullptr,
                       grad_depthwise != nullptr, grad_pointwise != nullptr, norm_clamp,
                       transposed(depthwise_weight, C, taps), AlignedVector<T>(taps * C), halves(s), M, C,
                       s.out_pixels(), s.padded_line(), norm_clamp.identity() && !s.kernel};
  for (i64 t = 0; t < taps; ++t) std::copy_n(&unit.taps[t * C], C, &unit.flipped_taps[(taps - 1 - t) * C]);

  const i64 depthwise_size = grad_depthwise ? taps * C : 0, sums_size = depthwise_size + (grad_pointwise ? M * C : 0);
  const i64 images = divide_up(s.B, sums_size ? MAX_PIECES : s.B), pieces = divide_up(s.B, images);  // images a piece
  const i64 size = unit.workspace_size();
  T *memory = workspace<T, 0>(threads * size);
  double *norm_sums = workspace<double, 1>(s.B * 2 * C), *sums = workspace<double, 2>(pieces * sums_size);
#pragma omp parallel num_threads(threads)
  {
    const auto own = unit.divide(memory + thread_index() * size);
#pragma omp for schedule(static)
    for (i64 piece = 0; piece < pieces; ++piece) {
      double *piece_sums = sums + piece * sums_size;
      std::fill(piece_sums, piece_sums + sums_size, 0.0);
      for (i64 b = piece * images; b < std::min(s.B, (piece + 1) * images); ++b)
        unit.image_backward(b, own, piece_sums, norm_sums + b * 2 * C);
    }
  }
  if (rows) prologue_grad_rows(s, prologue, norm_sums, rows);
  for (i64 t = 0; t < sums_size; ++t)
    for (i64 piece = 1; piece < pieces; ++piece) sums[t] += sums[piece * sums_size + t];
  for (i64 t = 0; t < depthwise_size; ++t) grad_depthwise[t % C * taps + t / C] = sums[t];
  for (i64 t = depthwise_size; t < sums_size; ++t) grad_pointwise[t - depthwise_size] = sums[t];
}

#define EXPORT(T, suffix)                                                                                             \
  extern "C" bool unit_backward_##suffix(const UnitSizes *s, const T *x, const UnitPrologue *prologue,                \
                                         const T *depthwise_weight, const T *pointwise_weight, const T *grad_output,  \
                                         i64 pixel_stride, const T *z, const T *z_rows, T *grad_x, i64 accumulate,    \
                                         T *rows, T *grad_depthwise, T *grad_pointwise, int threads) {                \
    return enough_memory_for([&] {                                                                                    \
      unit_backward<T>(*s, x, *prologue, depthwise_weight, pointwise_weight, {grad_output, pixel_stride, z, z_rows},  \
                       grad_x, accumulate, rows, grad_depthwise, grad_pointwise, threads);                            \
    });                                                                                                               \
  }

EXPORT(float, f32)
EXPORT(double, f64)
