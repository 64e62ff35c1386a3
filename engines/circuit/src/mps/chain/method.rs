//! A chain as a method: gates in order, measurement, samples, overlaps with Paulis.

use super::order::Order;
use super::{Chain, Site};
use crate::ir::{Gate, MATRIX_QUBITS_MAX};
use crate::method::{Bits, Method};
use crate::rng::Rng;
use crate::{C64, Error, Watch};

impl Chain {
    /// The vector on the bond after a site that had these bits, from the vector before it.
    fn step(site: &Site, before: &[C64], bit: usize) -> Vec<C64> {
        let mut after = vec![C64::ZERO; site.right];
        for (left, &factor) in before.iter().enumerate() {
            let row = &site.cells[(2 * left + bit) * site.right..][..site.right];
            after
                .iter_mut()
                .zip(row)
                .for_each(|(a, x)| *a += factor * x);
        }
        after
    }
}

impl Method for Chain {
    fn apply(&mut self, gates: &[&Gate], watch: &Watch) -> Result<(), Error> {
        watch.expect(gates.len() as u64);
        let wide = gates
            .iter()
            .find(|gate| gate.qubits.len() > MATRIX_QUBITS_MAX);
        if let Some(gate) = wide {
            return Err(Error::Unsupported {
                method: "the mps method",
                what: format!(
                    "apply {} to {} qubits at once",
                    gate.name(),
                    gate.qubits.len()
                ),
            });
        }
        let before = self.gates;
        let mut order = Order::of(gates, &self.place);
        for turn in 0..gates.len() {
            watch.check()?;
            let number = match &mut order {
                Some(order) => order.take().unwrap_or(turn),
                None => turn,
            };
            self.leftwards = order.as_ref().is_some_and(|order| order.leftwards);
            self.gates = before + number + 1;
            self.gate(gates[number]);
            self.within()?;
            watch.advance(1);
        }
        self.leftwards = false;
        self.gates = before + gates.len();
        Ok(())
    }

    fn one(&mut self, qubit: u32) -> f64 {
        let place = self.place[qubit as usize];
        self.centre_on(place);
        let site = &self.sites[place];
        self.work += site.cells.len() as u64;
        let (mut one, mut all) = (0.0, 0.0);
        for (row, cells) in site.cells.chunks(site.right).enumerate() {
            let weight: f64 = cells.iter().map(C64::norm_sqr).sum();
            all += weight;
            one += if row & 1 == 1 { weight } else { 0.0 };
        }
        one / all
    }

    fn collapse(&mut self, qubit: u32, bit: bool) {
        let place = self.place[qubit as usize];
        self.centre_on(place);
        let site = &mut self.sites[place];
        for (row, cells) in site.cells.chunks_mut(site.right).enumerate() {
            if (row & 1 == 1) != bit {
                cells.fill(C64::ZERO);
            }
        }
        let weight: f64 = site.cells.iter().map(C64::norm_sqr).sum();
        let scale = 1.0 / weight.sqrt();
        site.cells.iter_mut().for_each(|x| *x *= scale);
    }

    fn damp(&mut self, qubit: u32, one: f64, all: f64) -> Result<(), Error> {
        let place = self.place[qubit as usize];
        self.centre_on(place);
        let site = &mut self.sites[place];
        for (row, cells) in site.cells.chunks_mut(site.right).enumerate() {
            let factor = if row & 1 == 1 { one * all } else { all };
            cells.iter_mut().for_each(|x| *x *= factor);
        }
        Ok(())
    }

    fn copied(&self) -> Result<Self, Error> {
        Ok(self.clone())
    }

    fn sample(&mut self, draws: &mut [Rng]) -> Result<Vec<Bits>, Error> {
        self.centre_on(0);
        let words = self.place.len().div_ceil(64).max(1);
        let mut samples = Vec::with_capacity(draws.len());
        for rng in draws {
            let mut bits = vec![0u64; words];
            let mut vector = vec![C64::ONE];
            for (site, &qubit) in self.sites.iter().zip(&self.qubit) {
                let [zero, one] = [0, 1].map(|bit| Self::step(site, &vector, bit));
                let weight = |v: &[C64]| v.iter().map(C64::norm_sqr).sum::<f64>();
                let (w0, w1) = (weight(&zero), weight(&one));
                let value = rng.unit() * (w0 + w1) >= w0;
                let (mut next, w) = if value { (one, w1) } else { (zero, w0) };
                let scale = 1.0 / w.sqrt();
                next.iter_mut().for_each(|x| *x *= scale);
                vector = next;
                bits[qubit / 64] |= u64::from(value) << (qubit % 64);
            }
            samples.push(bits);
        }
        Ok(samples)
    }

    fn expectation(&mut self, x: &[u64], z: &[u64]) -> Result<f64, Error> {
        let bit = |w: &[u64], q: usize| w.get(q / 64).is_some_and(|w| w >> (q % 64) & 1 == 1);
        // The overlap of the chain's left part with itself, the Paulis in between.
        let mut overlap = vec![C64::ONE];
        let mut turns = 0;
        for (site, &qubit) in self.sites.iter().zip(&self.qubit) {
            let (flips, signs) = (bit(x, qubit), bit(z, qubit));
            turns += u32::from(flips && signs);
            let mut next = vec![C64::ZERO; site.right * site.right];
            for s in 0..2 {
                // <.. s' ..| P |.. s ..> with s' = s flipped where there is an X part.
                let other = s ^ usize::from(flips);
                let sign = if signs && s == 1 { -1.0 } else { 1.0 };
                let row =
                    |l: usize, s: usize| &site.cells[(2 * l + s) * site.right..][..site.right];
                for above in 0..site.left {
                    let mut sum = vec![C64::ZERO; site.right];
                    for below in 0..site.left {
                        let factor = overlap[above * site.left + below] * sign;
                        sum.iter_mut()
                            .zip(row(below, s))
                            .for_each(|(a, x)| *a += factor * x);
                    }
                    for (i, c) in row(above, other).iter().enumerate() {
                        let target = &mut next[i * site.right..(i + 1) * site.right];
                        target
                            .iter_mut()
                            .zip(&sum)
                            .for_each(|(t, x)| *t += c.conj() * x);
                    }
                }
            }
            overlap = next;
        }
        Ok((overlap[0] * C64::I.powu(turns % 4)).re)
    }

    fn amplitude(&mut self, basis: &[u64]) -> Result<C64, Error> {
        let mut vector = vec![C64::ONE];
        for (site, &qubit) in self.sites.iter().zip(&self.qubit) {
            let bit = basis.get(qubit / 64).map_or(0, |w| w >> (qubit % 64) & 1);
            vector = Self::step(site, &vector, bit as usize);
        }
        Ok(vector[0])
    }

    fn discarded(&self) -> f64 {
        self.distance.min(1.0)
    }

    fn within(&self) -> Result<(), Error> {
        if self.distance > self.limits.1 {
            return Err(Error::Numeric("a chain that nothing may be cut off from"));
        }
        Error::above("multiplications", self.work, self.limits.0)
    }

    fn bytes(&self) -> u128 {
        self.sites.iter().map(|s| s.cells.len() as u128 * 16).sum()
    }
}
