//! Which steps may go ahead of others. Steps come in an order; one may pass those that are left behind only
//! where it commutes with them: on every wire that they share, both only select.

use super::fuse::Wires;

/// The wires of the steps that are left behind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Left(Wires);

impl Left {
    /// Whether a step on these wires may go ahead of everything that is left behind.
    #[inline]
    pub fn allows(self, on: Wires) -> bool {
        on.mixes & (self.0.mixes | self.0.selects) == 0 && on.selects & self.0.mixes == 0
    }

    /// Leaves a step on these wires behind.
    #[inline]
    pub fn leave(&mut self, on: Wires) {
        self.0.mixes |= on.mixes;
        self.0.selects |= on.selects;
    }

    /// Whether no step that touches one of these wires may go ahead any more.
    #[inline]
    pub fn mixes_all(self, wires: u64) -> bool {
        wires & !self.0.mixes == 0
    }

    /// Whether no step that mixes one of these wires may go ahead any more.
    #[inline]
    pub fn touches_all(self, wires: u64) -> bool {
        wires & !(self.0.mixes | self.0.selects) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::C64;
    use crate::dense::fuse::Step;
    use crate::dense::turn::Turn;

    fn turn(wire: u32) -> Step {
        let half = Turn {
            tangent: 1.0,
            exchanged: false,
            cosine: 0.5f64.sqrt(),
        };
        Step::Turn(half, wire)
    }

    #[test]
    fn a_step_passes_those_that_it_commutes_with() {
        let phase = |mask| Step::Phase(mask, C64::I);
        let one = |q, controls| Step::One([C64::I; 4], q, controls);
        // What is left behind, the step, and whether it may go ahead.
        let cases = [
            (phase(0b11), phase(0b11), true),
            (phase(0b01), turn(0), false),
            (phase(0b01), turn(1), true),
            (turn(0), phase(0b11), false),
            (turn(0), phase(0b10), true),
            (turn(0), turn(0), false),
            (turn(0), one(1, 0b001), false),
            (one(0, 0b010), one(2, 0b010), true),
            (one(0, 0b010), one(1, 0b100), false),
            (one(0, 0b010), turn(2), true),
        ];
        for (behind, step, may) in cases {
            let mut left = Left::default();
            assert!(
                left.allows(step.wires()),
                "{step:?} with nothing left behind"
            );
            left.leave(behind.wires());
            assert_eq!(left.allows(step.wires()), may, "{step:?} after {behind:?}");
        }
    }

    #[test]
    fn wires_are_used_up_once_nothing_on_them_may_pass() {
        let mut left = Left::default();
        left.leave(Step::Phase(0b01, C64::I).wires());
        assert!(left.touches_all(0b01) && !left.touches_all(0b11) && !left.mixes_all(0b01));
        left.leave(turn(1).wires());
        assert!(left.touches_all(0b11) && left.mixes_all(0b10) && !left.mixes_all(0b11));
    }
}
