//! Vectors of 64 bytes: one trait, with AVX-512 and AVX2 chosen at run time and plain arrays
//! underneath. Every implementation rounds alike (fused multiply-add, same order), so results do not
//! depend on the machine.

#![allow(unsafe_code)]

/// A floating-point type that amplitudes are made of.
pub trait Real:
    Copy + Send + Sync + Default + PartialEq + std::fmt::Debug + Into<f64> + 'static
{
    /// Numbers in a vector.
    const LANES: usize;
    /// The portable vector.
    type Plain: Lanes<Self>;
    /// From double precision, rounded.
    fn of(value: f64) -> Self;
    /// Runs work with the widest vectors that this processor has.
    fn dispatch<W: Work<Self>>(work: W);
}

/// Work that is written once for every width of vector.
pub trait Work<T: Real> {
    /// Does it with this vector.
    fn run<V: Lanes<T>>(self);
}

/// A vector of [`Real::LANES`] numbers.
pub trait Lanes<T>: Copy {
    /// Reads a vector.
    ///
    /// # Safety
    /// `from` points to that many numbers; the processor has the instructions.
    unsafe fn load(from: *const T) -> Self;
    /// Writes a vector.
    ///
    /// # Safety
    /// As [`Lanes::load`].
    unsafe fn store(self, to: *mut T);
    /// The same number in every lane.
    fn splat(value: T) -> Self;
    /// The product.
    fn mul(self, other: Self) -> Self;
    /// `self * other + plus`, rounded once.
    fn mul_add(self, other: Self, plus: Self) -> Self;
    /// `plus - self * other`, rounded once.
    fn neg_mul_add(self, other: Self, plus: Self) -> Self;
    /// Lane i gets what lane `i ^ mask` had.
    fn exchanged(self, mask: usize) -> Self;
}

/// The products of complex numbers, each given as its real and its imaginary parts.
#[inline(always)]
pub fn times<T, V: Lanes<T>>((a, b): (V, V), (x, y): (V, V)) -> (V, V) {
    (b.neg_mul_add(y, a.mul(x)), b.mul_add(x, a.mul(y)))
}

/// Lanes as an array, for processors without wide vectors.
#[derive(Clone, Copy)]
pub struct Plain<T, const N: usize>([T; N]);

macro_rules! plain {
    ($real:ty, $lanes:literal) => {
        impl Lanes<$real> for Plain<$real, $lanes> {
            #[inline(always)]
            unsafe fn load(from: *const $real) -> Self {
                // SAFETY: the caller promises that many numbers; no alignment is needed.
                Self(unsafe { from.cast::<[$real; $lanes]>().read_unaligned() })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $real) {
                // SAFETY: as above.
                unsafe { to.cast::<[$real; $lanes]>().write_unaligned(self.0) }
            }
            #[inline(always)]
            fn splat(value: $real) -> Self {
                Self([value; $lanes])
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
            }
            #[inline(always)]
            fn mul_add(self, other: Self, plus: Self) -> Self {
                Self(std::array::from_fn(|i| {
                    self.0[i].mul_add(other.0[i], plus.0[i])
                }))
            }
            #[inline(always)]
            fn neg_mul_add(self, other: Self, plus: Self) -> Self {
                Self(std::array::from_fn(|i| {
                    (-self.0[i]).mul_add(other.0[i], plus.0[i])
                }))
            }
            #[inline(always)]
            fn exchanged(self, mask: usize) -> Self {
                Self(std::array::from_fn(|i| self.0[i ^ mask]))
            }
        }
    };
}
plain!(f64, 8);
plain!(f32, 16);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Lanes, Work};
    use std::arch::x86_64::*;

    const INDEX_64: [[i64; 8]; 8] = {
        let mut table = [[0; 8]; 8];
        let mut i = 0;
        while i < 64 {
            table[i / 8][i % 8] = ((i % 8) ^ (i / 8)) as i64;
            i += 1;
        }
        table
    };
    const INDEX_32: [[i32; 16]; 16] = {
        let mut table = [[0; 16]; 16];
        let mut i = 0;
        while i < 256 {
            table[i / 16][i % 16] = ((i % 16) ^ (i / 16)) as i32;
            i += 1;
        }
        table
    };

    macro_rules! wide {
        ($name:ident, $real:ty, $vector:ty, $load:ident, $store:ident, $splat:ident, $mul:ident, $fma:ident, $fnma:ident, $permute:expr) => {
            #[derive(Clone, Copy)]
            pub struct $name($vector);
            // SAFETY (all of it): only the dispatchers below name this type, after they have found
            // the instructions; pointers are the caller's promise.
            impl Lanes<$real> for $name {
                #[inline(always)]
                unsafe fn load(from: *const $real) -> Self {
                    Self(unsafe { $load(from) })
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $real) {
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                fn splat(value: $real) -> Self {
                    Self(unsafe { $splat(value) })
                }
                #[inline(always)]
                fn mul(self, other: Self) -> Self {
                    Self(unsafe { $mul(self.0, other.0) })
                }
                #[inline(always)]
                fn mul_add(self, other: Self, plus: Self) -> Self {
                    Self(unsafe { $fma(self.0, other.0, plus.0) })
                }
                #[inline(always)]
                fn neg_mul_add(self, other: Self, plus: Self) -> Self {
                    Self(unsafe { $fnma(self.0, other.0, plus.0) })
                }
                #[inline(always)]
                fn exchanged(self, mask: usize) -> Self {
                    Self(unsafe { $permute(self.0, mask) })
                }
            }
        };
    }

    #[inline(always)]
    unsafe fn permute_512d(v: __m512d, mask: usize) -> __m512d {
        // SAFETY: a table row has 64 bytes; the instruction is there (see `wide`).
        unsafe { _mm512_permutexvar_pd(_mm512_loadu_si512(INDEX_64[mask & 7].as_ptr().cast()), v) }
    }
    #[inline(always)]
    unsafe fn permute_512s(v: __m512, mask: usize) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_permutexvar_ps(_mm512_loadu_si512(INDEX_32[mask & 15].as_ptr().cast()), v) }
    }
    wide!(
        V512d,
        f64,
        __m512d,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_set1_pd,
        _mm512_mul_pd,
        _mm512_fmadd_pd,
        _mm512_fnmadd_pd,
        permute_512d
    );
    wide!(
        V512s,
        f32,
        __m512,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps,
        _mm512_fnmadd_ps,
        permute_512s
    );

    macro_rules! pair {
        ($name:ident, $real:ty, $vector:ty, $half:literal, $load:ident, $store:ident, $splat:ident, $mul:ident, $fma:ident, $fnma:ident, $permute:expr) => {
            #[derive(Clone, Copy)]
            pub struct $name([$vector; 2]);
            // SAFETY (all of it): as for the wide vectors.
            impl Lanes<$real> for $name {
                #[inline(always)]
                unsafe fn load(from: *const $real) -> Self {
                    Self(unsafe { [$load(from), $load(from.add($half))] })
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $real) {
                    unsafe {
                        $store(to, self.0[0]);
                        $store(to.add($half), self.0[1]);
                    }
                }
                #[inline(always)]
                fn splat(value: $real) -> Self {
                    Self(unsafe { [$splat(value), $splat(value)] })
                }
                #[inline(always)]
                fn mul(self, other: Self) -> Self {
                    Self(unsafe { [$mul(self.0[0], other.0[0]), $mul(self.0[1], other.0[1])] })
                }
                #[inline(always)]
                fn mul_add(self, other: Self, plus: Self) -> Self {
                    let (a, b, c) = (self.0, other.0, plus.0);
                    Self(unsafe { [$fma(a[0], b[0], c[0]), $fma(a[1], b[1], c[1])] })
                }
                #[inline(always)]
                fn neg_mul_add(self, other: Self, plus: Self) -> Self {
                    let (a, b, c) = (self.0, other.0, plus.0);
                    Self(unsafe { [$fnma(a[0], b[0], c[0]), $fnma(a[1], b[1], c[1])] })
                }
                #[inline(always)]
                fn exchanged(self, mask: usize) -> Self {
                    let [a, b] = self.0;
                    let (a, b) = if mask & $half != 0 { (b, a) } else { (a, b) };
                    Self(unsafe { [$permute(a, mask), $permute(b, mask)] })
                }
            }
        };
    }

    #[inline(always)]
    unsafe fn permute_256d(v: __m256d, mask: usize) -> __m256d {
        // SAFETY: the instruction is there (see `wide`).
        unsafe {
            match mask & 3 {
                0 => v,
                1 => _mm256_permute4x64_pd::<0b10_11_00_01>(v),
                2 => _mm256_permute4x64_pd::<0b01_00_11_10>(v),
                _ => _mm256_permute4x64_pd::<0b00_01_10_11>(v),
            }
        }
    }
    #[inline(always)]
    unsafe fn permute_256s(v: __m256, mask: usize) -> __m256 {
        // SAFETY: as above; the first half of a row permutes eight lanes.
        unsafe {
            let index = _mm256_loadu_si256(INDEX_32[mask & 7].as_ptr().cast());
            _mm256_permutevar8x32_ps(v, index)
        }
    }
    pair!(
        V256d,
        f64,
        __m256d,
        4,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_set1_pd,
        _mm256_mul_pd,
        _mm256_fmadd_pd,
        _mm256_fnmadd_pd,
        permute_256d
    );
    pair!(
        V256s,
        f32,
        __m256,
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps,
        _mm256_fnmadd_ps,
        permute_256s
    );

    macro_rules! dispatch {
        ($real:ty, $name_512:ident, $name_256:ident, $dispatch:ident, $run_512:ident, $run_256:ident) => {
            #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
            fn $run_512<W: Work<$real>>(work: W) {
                work.run::<$name_512>();
            }
            #[target_feature(enable = "avx2,fma")]
            fn $run_256<W: Work<$real>>(work: W) {
                work.run::<$name_256>();
            }
            pub fn $dispatch<W: Work<$real>>(work: W) {
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the processor has these instructions, as just found.
                    unsafe { $run_512(work) }
                } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: as above.
                    unsafe { $run_256(work) }
                } else {
                    work.run::<<$real as super::Real>::Plain>();
                }
            }
        };
    }
    dispatch!(f64, V512d, V256d, dispatch_f64, run_512_f64, run_256_f64);
    dispatch!(f32, V512s, V256s, dispatch_f32, run_512_f32, run_256_f32);
}

impl Real for f64 {
    const LANES: usize = 8;
    type Plain = Plain<Self, 8>;
    fn of(value: f64) -> Self {
        value
    }
    fn dispatch<W: Work<Self>>(work: W) {
        #[cfg(target_arch = "x86_64")]
        x86::dispatch_f64(work);
        #[cfg(not(target_arch = "x86_64"))]
        work.run::<Self::Plain>();
    }
}

impl Real for f32 {
    const LANES: usize = 16;
    type Plain = Plain<Self, 16>;
    fn of(value: f64) -> Self {
        value as Self
    }
    fn dispatch<W: Work<Self>>(work: W) {
        #[cfg(target_arch = "x86_64")]
        x86::dispatch_f32(work);
        #[cfg(not(target_arch = "x86_64"))]
        work.run::<Self::Plain>();
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// Everything a vector does, on the same numbers, written out.
    struct Everything<'a, T>(&'a [T], &'a mut Vec<T>);

    impl<T: Real> Work<T> for Everything<'_, T> {
        fn run<V: Lanes<T>>(self) {
            let n = T::LANES;
            // SAFETY: the input has three vectors and the output room for one at a time.
            unsafe {
                let [a, b, c] = [0, 1, 2].map(|i| V::load(self.0.as_ptr().add(i * n)));
                let mut all = vec![a.mul(b), a.mul_add(b, c), a.neg_mul_add(b, c)];
                all.extend((0..n).map(|mask| a.exchanged(mask)));
                for v in all {
                    let at = self.1.len();
                    self.1.resize(at + n, T::default());
                    v.store(self.1.as_mut_ptr().add(at));
                }
            }
        }
    }

    fn agree<T: Real>(run_256: Option<fn(Everything<'_, T>)>) {
        let numbers: Vec<T> = (0..3 * T::LANES)
            .map(|i| T::of((i as f64 * 1.7).sin()))
            .collect();
        let mut plain = Vec::new();
        Everything(&numbers, &mut plain).run::<T::Plain>();
        let mut wide = Vec::new();
        T::dispatch(Everything(&numbers, &mut wide));
        assert_eq!(plain, wide);
        if let Some(run) = run_256 {
            let mut half = Vec::new();
            run(Everything(&numbers, &mut half));
            assert_eq!(plain, half);
        }
    }

    #[test]
    fn every_width_gives_the_same() {
        let there = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        agree::<f64>(there.then_some(|work: Everything<'_, f64>| work.run::<x86::V256d>()));
        agree::<f32>(there.then_some(|work: Everything<'_, f32>| work.run::<x86::V256s>()));
    }
}
