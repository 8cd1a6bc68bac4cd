// A unit's gradients: see conv_unit.h.

#include <omp.h>

#include "conv_unit.h"

constexpr i64 PIECES = 16;  // of a batch, for the weights' gradients: each piece has sums of its own

// How dL/dz is made: coefficients[0] * g + coefficients[1] * z + coefficients[2], (3, made), or g itself where null.
template <class T> struct Slope {
  const T *g;
  i64 step;  // from a pixel of g to the next
  const T *z, *coefficients;
};

// Add dL/d(depthwise weight) of one image, (k, k, C); `in` and `by_out` are padded, the latter spread by the stride.
template <class T, int K> void add_by_depth(const Unit &s, const T *in, const T *by_out, double *sums) {
  constexpr int U = K == 3 ? 4 : 2;  // pixels whose sums do not wait for each other
  const i64 next = s.stride * s.C, column = s.dilation * s.C, line = s.wide() * s.C;
  for_channels<T>(s.C, [&](i64 c, auto width) {
    constexpr int N = width;
    using V = typename Lanes<T, N>::real;
    for (i64 i = 0; i < K; ++i) {
      V sum[U][K] = {};
      for (i64 h = 0; h < s.out_H; ++h) {
        const T *from = in + (h * s.stride + i * s.dilation) * line + c;
        const T *by = by_out + (h * s.stride + s.pad()) * line + s.pad() * s.C + c;
        const auto add = [&](i64 w, int u) {
          const V g = load<V>(by + w * next);
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

// Add dL/d(pointwise weight) of one image, (M, C): the sum over n pixels of g (n, M) times in (n, C).
template <class T> void add_by_point(const T *in, i64 n, i64 C, const T *g, i64 g_step, i64 M, double *sums) {
  for_channels<T>(C, [&](i64 c, auto width) {
    constexpr int N = width;
    using V = typename Lanes<T, N>::real;
    for_pixels(M, [&](i64 m, auto rows) {
      constexpr int R = rows;
      V sum[R] = {};
      for (i64 p = 0; p < n; ++p) {
        const V v = load<V>(in + p * C + c);
        for (int r = 0; r < R; ++r) sum[r] += v * g[p * g_step + m + r];
      }
      for (int r = 0; r < R; ++r)
        for (int l = 0; l < N; ++l) sums[(m + r) * C + c + l] += sum[r][l];
    });
  });
}

// Ask for n pixels of what dL/dz is made of, from pixel `at` on.
template <class T> void ask_for_slope(const Unit &s, const Slope<T> &slope, i64 at, i64 n) {
  const i64 M = s.made();
  if (slope.coefficients) ask_for(slope.z + at * M, n * M);
  if (slope.step == M) return ask_for(slope.g + at * M, n * M);
  for (i64 p = at; p < at + n; ++p) ask_for(slope.g + p * slope.step, M);
}

// Images of dL/dz, dense.
template <class T> const T *made_slope(const Unit &s, const Slope<T> &slope, i64 b, T *room) {
  const i64 M = s.made(), P = s.pixels();
  const T *g = slope.g + b * P * slope.step;
  if (!slope.coefficients && slope.step == M) return g;
  for_channels<T>(M, [&](i64 c, auto width) {
    using V = typename Lanes<T, width>::real;
    if (!slope.coefficients) {
      for (i64 p = 0; p < P; ++p) store(room + p * M + c, load<V>(g + p * slope.step + c));
      return;
    }
    const T *k = slope.coefficients + c, *z = slope.z + b * P * M + c;
    const V by_g = load<V>(k), by_z = load<V>(k + M), constant = load<V>(k + 2 * M);
    for (i64 p = 0; p < P; ++p)
      store(room + p * M + c, by_g * load<V>(g + p * slope.step + c) + by_z * load<V>(z + p * M) + constant);
  });
  return room;
}

// One image of dL/d(what the pointwise convolution was given), from gz (pixels, made): in the places that a depthwise
// convolution, or the halves, looked at. What lies between those stays as it is.
template <class T, class Ask>
void before_pointwise(const Unit &s, const std::vector<Half> &pairs, const T *gz, const T *by_point, T *to, Ask ask) {
  const i64 M = s.made(), C = s.C, pad = s.pad(), line = s.wide() * C, step = (s.kernel ? s.stride : 1) * C;
  for (i64 h = 0; h < s.out_H; ++h) {
    const T *from = gz + h * s.out_W * M;
    T *row = to + (h * s.stride + pad) * line + pad * C;
    ask(h);
    if (s.even) {
      for (const Half &half : pairs) {
        const i64 up = 2 * h + half.at, n = std::min(s.out_W, (s.W - half.at + 1) / 2);
        T *place = to + (up * s.W + half.at) * C;
        if (up < s.H) pointwise({half.count, C, C, M, 2 * C}, from + half.from, n, by_point + half.from * C, place);
      }
    } else if (s.out_C) {
      pointwise({M, C, C, M, step}, from, s.out_W, by_point, row);
    } else {
      for (i64 w = 0; w < s.out_W; ++w) std::copy_n(from + w * C, C, row + w * step);
    }
  }
}

// Of the BatchNorm in front of a unit, whose output is x: see Slope. seen: (B, 2, C), sums of dL/d(normalised) and of
// that times (x - mean).
template <class T> void norm_backward(const Unit &s, const InFront &norm, const double *seen, T *coefficients) {
  const double P = s.B * s.H * s.W;
  for (i64 c = 0; c < s.C; ++c) {
    const double inverse = 1.0 / std::sqrt(norm.var[c] + norm.eps);
    double all = 0, dot = 0;
    for (i64 b = 0; b < s.B; ++b) all += seen[b * 2 * s.C + c], dot += seen[(b * 2 + 1) * s.C + c];
    const double turn = norm.batch ? -inverse * inverse * inverse * dot / P : 0.0;
    coefficients[c] = inverse;
    coefficients[s.C + c] = turn;
    coefficients[2 * s.C + c] = norm.batch ? -turn * norm.mean[c] - inverse * all / P : 0.0;
  }
}

// The gradients that are not null. gx: dL/d(normalised x), added to what is there if `add`; `coefficients` make of it
// the gradient in front of the BatchNorm. The weights' as torch has them.
template <class T>
void unit_backward(const Unit &s, const T *x, const InFront &norm, const T *by_depth, const T *by_point,
                   const Slope<T> &slope, T *gx, i64 add, T *coefficients, T *g_depth, T *g_point, int threads) {
  const Entry<T> entry(norm, s.C);
  const i64 M = s.made(), P = s.pixels(), C = s.C, room = s.room(), line = s.wide() * C;
  const i64 needs = 2 * room + whole_lines<T>(P * M) + whole_lines<T>(P * C) + whole_lines<T>(s.W * C + 2 * C);
  const std::vector<Half> pairs = halves(s);
  const i64 depth = g_depth ? s.taps() * C : 0, point = g_point ? M * C : 0;
  const i64 most = depth + point ? PIECES : s.B, piece = (s.B + most - 1) / most, pieces = (s.B + piece - 1) / piece;
  const Row<T> taps = turned(by_depth, C, s.taps());
  Row<T> flipped(taps.size());
  for (i64 t = 0; t < s.taps(); ++t) std::copy_n(&taps[t * C], C, &flipped[(s.taps() - 1 - t) * C]);
  T *space = scratch<T, 0>(threads * needs);
  double *seen = scratch<double, 1>(s.B * 2 * C), *parts = scratch<double, 2>(pieces * (depth + point));

  const auto weights = [&](const T *image, const T *gz, const T *by_middle, T *padded, T *middle, double *sums) {
    const bool direct = entry.empty() && !s.kernel;
    if (!direct) enter(s, image, entry, padded);
    if (g_depth) {
      (s.kernel == 3   ? add_by_depth<T, 3>
       : s.kernel == 5 ? add_by_depth<T, 5>
                       : add_by_depth<T, 7>)(s, padded, by_middle, sums);
    }
    if (!g_point) return;
    for (const Half &half : pairs) {
      for (i64 h = 0; h < s.out_H; ++h) half_line(s, direct ? image : padded, half, h, middle + h * s.out_W * C);
      add_by_point(middle, P, C, gz + half.from, M, half.count, sums + half.from * C);
    }
    if (s.even) return;
    for (i64 h = 0; s.kernel && h < s.out_H; ++h)
      depthwise(s, padded + h * s.stride * line, taps.data(), s.stride, s.out_W, middle + h * s.out_W * C);
    add_by_point(s.kernel ? middle : direct ? image : padded, P, C, gz, M, M, sums + depth);
  };

#pragma omp parallel num_threads(threads)
  {
    T *by_middle = space + omp_get_thread_num() * needs, *padded = by_middle + room, *dense = padded + room;
    T *middle = dense + whole_lines<T>(P * M), *row = middle + whole_lines<T>(P * C), *sums = row + s.W * C;
    std::fill(by_middle, by_middle + room, T(0));  // between the strides, and around the image, they stay
#pragma omp for schedule(static)
    for (i64 at = 0; at < pieces; ++at) {
      double *part = parts + at * (depth + point);
      std::fill(part, part + depth + point, 0.0);
      for (i64 b = at * piece; b < std::min(s.B, (at + 1) * piece); ++b) {
        const T *image = x + b * s.H * s.W * C, *gz = made_slope(s, slope, b, dense);
        const auto ask = [&](i64 h) {  // for what comes behind the pointwise convolution
          const i64 from = h * s.H / s.out_H * s.W * C, n = (h + 1) * s.H / s.out_H * s.W * C - from;
          ask_for(image + from, n);
          if (gx) ask_for<true>(gx + b * s.H * s.W * C + from, n);
        };
        before_pointwise(s, pairs, gz, by_point, by_middle, ask);
        if (depth + point) weights(image, gz, by_middle, padded, middle, part);
        if (!gx) continue;
        std::fill(sums, sums + 2 * C, T(0));
        for (i64 h = 0; h < s.H; ++h) {
          const T *back = by_middle + h * s.W * C, *in = image + h * s.W * C;
          T *to = gx + (b * s.H + h) * s.W * C;
          if (b + 1 < s.B) {
            const i64 from = h * s.out_H / s.H * s.out_W, n = (h + 1) * s.out_H / s.H * s.out_W - from;
            ask_for_slope(s, slope, (b + 1) * P + from, n);
          }
          if (s.kernel) depthwise(s, by_middle + h * line, flipped.data(), 1, s.W, row), back = row;
          for_channels<T>(C, [&](i64 c, auto width) {
            using V = typename Lanes<T, width>::real;
            V all = load<V>(sums + c), dot = load<V>(sums + C + c);
            const V mid = coefficients ? load<V>(&entry.mean[c]) : V{};
            for (i64 w = 0; w < s.W; ++w) {
              const V v = load<V>(in + w * C + c);
              const V g = entry.back(load<V>(back + w * C + c), v, c);
              if (coefficients) all += g, dot += g * (v - mid);
              store(to + w * C + c, add ? g + load<V>(to + w * C + c) : g);
            }
            store(sums + c, all), store(sums + C + c, dot);
          });
        }
        std::copy_n(sums, 2 * C, seen + b * 2 * C);
      }
    }
  }
  if (coefficients) norm_backward(s, norm, seen, coefficients);
  for (i64 t = 0; t < depth + point; ++t)
    for (i64 at = 1; at < pieces; ++at) parts[t] += parts[at * (depth + point) + t];
  for (i64 t = 0; t < depth; ++t) g_depth[t % C * s.taps() + t / C] = parts[t];
  for (i64 t = 0; t < point; ++t) g_point[t] = parts[depth + t];
}

#define EXPORT(T, suffix)                                                                                             \
  extern "C" bool unit_backward_##suffix(const Unit *s, const T *x, const InFront *norm, const T *by_depth,           \
                                         const T *by_point, const T *g, i64 step, const T *z, const T *from, T *gx,   \
                                         i64 add, T *coefficients, T *g_depth, T *g_point, int threads) {             \
    return enough_memory_for([&] {                                                                                    \
      unit_backward<T>(*s, x, *norm, by_depth, by_point, Slope<T>{g, step, z, from}, gx, add, coefficients, g_depth,  \
                       g_point, threads);                                                                             \
    });                                                                                                               \
  }

EXPORT(float, f32)
EXPORT(double, f64)
