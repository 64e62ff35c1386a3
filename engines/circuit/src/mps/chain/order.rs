//! In which order gates on neighbours go along the chain: to and fro, so that the centre hardly moves between
//! one gate and the next. Gates that share no qubit may change places; nothing else does.

use std::collections::BTreeSet;

use crate::ir::Gate;

/// No gate.
const NONE: usize = usize::MAX;

/// Gates that are still to come.
#[derive(Debug)]
pub(super) struct Order {
    /// Gates on two sites whose turn it could be, by their left site.
    ready: BTreeSet<(usize, usize)>,
    /// The same on one site or none, where the centre does not matter.
    alone: Vec<usize>,
    /// For each gate how many must come before it, and which come next on its qubits.
    before: Vec<u8>,
    next: Vec<[usize; 2]>,
    /// The left site of each gate.
    sites: Vec<Option<usize>>,
    at: usize,
    /// Whether the way is to the left.
    pub(super) leftwards: bool,
}

impl Order {
    /// Of gates on one site or on two that are neighbours; nothing where there are others.
    pub(super) fn of(gates: &[&Gate], place: &[usize]) -> Option<Self> {
        let mut sites = Vec::with_capacity(gates.len());
        for gate in gates {
            sites.push(match gate.qubits[..] {
                [] | [_] => None,
                [a, b] => {
                    let (a, b) = (place[a as usize], place[b as usize]);
                    (a.abs_diff(b) == 1).then_some(Some(a.min(b)))?
                }
                _ => return None,
            });
        }
        let mut later = vec![NONE; place.len()];
        let mut next = vec![[NONE; 2]; gates.len()];
        let mut before = vec![0u8; gates.len()];
        for (number, gate) in gates.iter().enumerate().rev() {
            for (next, &qubit) in next[number].iter_mut().zip(&gate.qubits) {
                *next = std::mem::replace(&mut later[qubit as usize], number);
                if *next != NONE {
                    before[*next] += 1;
                }
            }
        }
        let mut order = Self {
            ready: BTreeSet::new(),
            alone: Vec::new(),
            before,
            next,
            sites,
            at: 0,
            leftwards: false,
        };
        for number in (0..gates.len()).rev() {
            if order.before[number] == 0 {
                order.add(number);
            }
        }
        Some(order)
    }

    fn add(&mut self, number: usize) {
        match self.sites[number] {
            Some(site) => drop(self.ready.insert((site, number))),
            None => self.alone.push(number),
        }
    }

    /// The number of the gate whose turn it is.
    pub(super) fn take(&mut self) -> Option<usize> {
        let number = self.alone.pop().or_else(|| {
            let right = self.ready.range((self.at, 0)..).next();
            let left = self.ready.range(..=(self.at, NONE)).next_back();
            let ahead = if self.leftwards { left } else { right };
            let found = match ahead {
                Some(found) => *found,
                None => {
                    let behind = if self.leftwards { right } else { left };
                    let found = *behind?;
                    self.leftwards = !self.leftwards;
                    found
                }
            };
            self.ready.remove(&found);
            self.at = found.0;
            Some(found.1)
        })?;
        for next in self.next[number] {
            if next != NONE {
                self.before[next] -= 1;
                if self.before[next] == 0 {
                    self.add(next);
                }
            }
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Base;
    use crate::rng::Rng;

    #[test]
    fn every_gate_comes_once_and_after_those_on_its_qubits() {
        let mut rng = Rng::stream(6, 0);
        for qubits in [2usize, 3, 9] {
            let mut gates = vec![Gate::new(Base::GlobalPhase, &[0.3], &[])];
            for _ in 0..200 {
                let q = (rng.bits() % (qubits as u64 - 1)) as u32;
                gates.push(match rng.bits() % 3 {
                    0 => Gate::new(Base::H, &[], &[q]),
                    1 => Gate::new(Base::Swap, &[], &[q, q + 1]),
                    _ => Gate::new(Base::X, &[], &[q]).controlled(&[q + 1]),
                });
            }
            let list: Vec<&Gate> = gates.iter().collect();
            let place: Vec<usize> = (0..qubits).collect();
            let mut order = Order::of(&list, &place).unwrap();
            let mut done: Vec<usize> = Vec::new();
            while let Some(number) = order.take() {
                let shares = |other: &usize| {
                    let on = &gates[*other].qubits;
                    *other > number && on.iter().any(|q| gates[number].qubits.contains(q))
                };
                assert!(!done.iter().any(shares), "{number} after {done:?}");
                done.push(number);
            }
            done.sort_unstable();
            assert!(done.into_iter().eq(0..gates.len()));
        }
        let far = Gate::new(Base::Swap, &[], &[0, 2]);
        assert!(Order::of(&[&far], &[0, 1, 2]).is_none());
        assert!(Order::of(&[&far], &[0, 2, 1]).is_some());
    }

    #[test]
    fn layers_go_to_and_fro() {
        let pairs = |first: u32| {
            (first..7)
                .step_by(2)
                .map(|q| Gate::new(Base::Swap, &[], &[q, q + 1]))
        };
        let gates: Vec<Gate> = (0..4).flat_map(|layer| pairs(layer % 2)).collect();
        let list: Vec<&Gate> = gates.iter().collect();
        let mut order = Order::of(&list, &(0..8).collect::<Vec<_>>()).unwrap();
        let mut turns = 0;
        let mut way = false;
        while order.take().is_some() {
            turns += usize::from(order.leftwards != way);
            way = order.leftwards;
        }
        assert!(turns <= 3, "{turns}");
    }
}
