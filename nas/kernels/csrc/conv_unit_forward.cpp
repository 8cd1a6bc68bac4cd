// A unit forward: see conv_unit.h.

#include <omp.h>

#include "conv_unit.h"

// Add n pixels to the sums, and to the sums of squares, of their distances from `shift`.
template <class T> inline void add_moments(const T *z, i64 n, i64 C, const T *shift, T *sums) {
  for_channels<T>(C, [&](i64 c, auto width) {
    using V = typename Lanes<T, width>::real;
    const V from = load<V>(shift + c);
    V all[4] = {}, squares[4] = {};
    const auto add = [&](i64 p, int j) {
      const V d = load<V>(z + p * C + c) - from;
      all[j] += d, squares[j] += d * d;
    };
    i64 p = 0;
    for (; p + 4 <= n; p += 4) add(p, 0), add(p + 1, 1), add(p + 2, 2), add(p + 3, 3);
    for (; p < n; ++p) add(p, 0);
    store(sums + c, load<V>(sums + c) + ((all[0] + all[1]) + (all[2] + all[3])));
    store(sums + C + c, load<V>(sums + C + c) + ((squares[0] + squares[1]) + (squares[2] + squares[3])));
  });
}

// Mean and biased variance (C,) from those of B images of P pixels, (B, 2, C): means and sums of squared distances.
inline void join_moments(const double *seen, i64 B, i64 P, i64 C, double *mean, double *var) {
  std::fill(mean, mean + C, 0.0), std::fill(var, var + C, 0.0);
  for (i64 b = 0; b < B; ++b)
    for (i64 c = 0; c < C; ++c) {
      const double step = seen[b * 2 * C + c] - mean[c];
      mean[c] += step / (b + 1);
      var[c] += seen[(b * 2 + 1) * C + c] + step * step * P * b / (b + 1);
    }
  for (i64 c = 0; c < C; ++c) var[c] /= B * P;
}

// z, and its mean and variance where those are not null. Weights as torch has them: (C, 1, k, k) and (out_C, C, 1, 1).
template <class T>
void unit_forward(const Unit &s, const T *x, const InFront &norm, const T *by_depth, const T *by_point, T *z,
                  double *mean, double *var, int threads) {
  const Entry<T> entry(norm, s.C);
  const i64 M = s.made(), line = s.out_W * s.C, room = s.room();
  const i64 needs = room + whole_lines<T>(line) + whole_lines<T>(2 * M);
  const bool direct = entry.empty() && !s.kernel;
  const std::vector<Half> pairs = halves(s);
  const Row<T> taps = turned(by_depth, s.C, s.taps()), matrix = turned(by_point, s.out_C, s.C);
  T *space = scratch<T, 0>(threads * needs);
  double *seen = scratch<double, 1>(s.B * 2 * M);
#pragma omp parallel num_threads(threads)
  {
    T *padded = space + omp_get_thread_num() * needs, *row = padded + room, *sums = row + whole_lines<T>(line);
#pragma omp for schedule(static)
    for (i64 b = 0; b < s.B; ++b) {
      const T *image = x + b * s.H * s.W * s.C;
      T *made = z + b * s.pixels() * M;
      if (!direct) enter(s, image, entry, padded);
      std::fill(sums, sums + 2 * M, T(0));
      const i64 share = (s.H * s.W * s.C + s.out_H - 1) / s.out_H;  // of the next image, with each line
      for (i64 h = 0; h < s.out_H; ++h) {
        T *to = made + h * s.out_W * M;
        ask_for<true>(to + s.out_W * M, s.out_W * M);
        if (b + 1 < s.B) ask_for(image + s.H * s.W * s.C + h * share, share);
        const T *from = (direct ? image : padded) + h * line;
        if (s.kernel) {
          depthwise(s, padded + h * s.stride * s.wide() * s.C, taps.data(), s.stride, s.out_W, s.out_C ? row : to);
          from = row;
        }
        for (const Half &half : pairs) {
          half_line(s, direct ? image : padded, half, h, row);
          const Matrix shape{s.C, half.count, M, s.C, M};
          pointwise(shape, row, s.out_W, matrix.data() + half.from, to + half.from);
        }
        if (s.out_C && !s.even) pointwise({s.C, M, M, s.C, M}, from, s.out_W, matrix.data(), to);
        if (mean) add_moments(to, s.out_W, M, made, sums);
      }
      for (i64 c = 0; mean && c < M; ++c) {
        const double shifted = double(sums[c]) / s.pixels();
        seen[b * 2 * M + c] = made[c] + shifted;
        seen[(b * 2 + 1) * M + c] = std::max(0.0, sums[M + c] - shifted * sums[c]);
      }
    }
  }
  if (mean) join_moments(seen, s.B, s.pixels(), M, mean, var);
}

#define EXPORT(T, suffix)                                                                                             \
  extern "C" bool unit_forward_##suffix(const Unit *s, const T *x, const InFront *norm, const T *by_depth,            \
                                        const T *by_point, T *z, double *mean, double *var, int threads) {            \
    return enough_memory_for([&] { unit_forward<T>(*s, x, *norm, by_depth, by_point, z, mean, var, threads); });      \
  }

EXPORT(float, f32)
EXPORT(double, f64)
