//! Which code looks batches up: chosen once, by what the CPU can do.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "code for a CPU feature is called where that feature was detected")
)]

use crate::{batch, family::Family, view::View};

/// The code that looks batches up. All give the same answers; the best one this CPU has is taken by
/// default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine(Kind);

/// Values other than `Portable` are made in [`Engine::all`] only, which detects the features first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Popcnt,
    Portable,
}

impl Engine {
    /// The engines this CPU can run, the best first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if crate::avx512::detected() {
                all.push(Self(Kind::Avx512));
            }
            if crate::avx2::detected() {
                all.push(Self(Kind::Avx2));
            }
            if is_x86_feature_detected!("popcnt") {
                all.push(Self(Kind::Popcnt));
            }
        }
        all.push(Self(Kind::Portable));
        all
    }

    /// The best engine for this CPU.
    #[must_use]
    pub fn best() -> Self {
        Self::all()[0]
    }

    /// Its name: `avx512`, `avx2`, `popcnt` or `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Popcnt => "popcnt",
            Kind::Portable => "portable",
        }
    }

    #[inline]
    pub(crate) fn lookup<F: Family>(self, view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                // SAFETY: this kind exists only where `all` has detected its features.
                unsafe { F::lookup_avx512(view, addrs, values) }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => {
                // SAFETY: as above.
                unsafe { F::lookup_avx2(view, addrs, values) }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Popcnt => {
                // SAFETY: as above.
                unsafe { lookup_popcnt(view, addrs, values) }
            }
            Kind::Portable => batch::lookup(view, addrs, values),
        }
    }
}

/// [`batch::lookup`] with the popcount instruction, which x86 servers have since 2009; the small CPUs of appliances that lack AVX2
/// mostly have it, too.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn lookup_popcnt<F: Family>(view: &View<'_, F>, addrs: &[F::Addr], values: &mut [u32]) {
    batch::lookup(view, addrs, values);
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn bits_detected() -> bool {
    is_x86_feature_detected!("popcnt") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
}
