//! A circuit as a flat program: runs of gates, and steps with jumps between them.

use crate::ir::{Channel, Circuit, Expression, Gate, Op};

/// A step. Targets of jumps are step numbers.
#[derive(Debug, Clone)]
pub enum Step {
    Gates(Vec<Gate>),
    Measure(u32, u32),
    Reset(u32),
    Noise(Channel, [u32; 2]),
    Assign(u32, u32, Expression),
    JumpUnless(Expression, usize),
    Jump(usize),
    End,
}

/// The steps of a circuit; the last is `End`.
pub fn steps(circuit: &Circuit) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut loops = Vec::new();
    block(&circuit.ops, &mut steps, &mut loops);
    steps.push(Step::End);
    steps
}

/// Jumps of a loop whose target is known only at its end: leaving it, or starting over.
struct Loop {
    start: usize,
    leaves: Vec<usize>,
}

fn block(ops: &[Op], steps: &mut Vec<Step>, loops: &mut Vec<Loop>) {
    // A block is a target of jumps, so no run of gates goes on across its start.
    let mut fresh = true;
    for op in ops {
        match op {
            Op::Gate(gate) => match steps.last_mut() {
                Some(Step::Gates(gates)) if !fresh => gates.push(gate.clone()),
                _ => steps.push(Step::Gates(vec![gate.clone()])),
            },
            Op::Barrier(_) => continue,
            Op::Measure { qubit, bit } => steps.push(Step::Measure(*qubit, *bit)),
            Op::Reset(qubit) => steps.push(Step::Reset(*qubit)),
            Op::Noise(channel, on) => {
                let second = on.get(1).copied().unwrap_or_default();
                steps.push(Step::Noise(channel.clone(), [on[0], second]));
            }
            Op::Assign {
                start,
                width,
                value,
            } => steps.push(Step::Assign(*start, *width, value.clone())),
            Op::If {
                condition,
                then,
                otherwise,
            } => {
                let unless = steps.len();
                steps.push(Step::JumpUnless(condition.clone(), 0));
                block(then, steps, loops);
                let over = steps.len();
                steps.push(Step::Jump(0));
                steps[unless] = Step::JumpUnless(condition.clone(), steps.len());
                block(otherwise, steps, loops);
                steps[over] = Step::Jump(steps.len());
                fresh = true;
                continue;
            }
            Op::While { condition, body } => {
                let start = steps.len();
                steps.push(Step::JumpUnless(condition.clone(), 0));
                loops.push(Loop {
                    start,
                    leaves: Vec::new(),
                });
                block(body, steps, loops);
                steps.push(Step::Jump(start));
                let end = steps.len();
                steps[start] = Step::JumpUnless(condition.clone(), end);
                for leave in loops.pop().map(|l| l.leaves).unwrap_or_default() {
                    steps[leave] = Step::Jump(end);
                }
                fresh = true;
                continue;
            }
            Op::Break => {
                if let Some(open) = loops.last_mut() {
                    open.leaves.push(steps.len());
                }
                steps.push(Step::Jump(0));
            }
            Op::Continue => {
                let start = loops.last().map_or(0, |l| l.start);
                steps.push(Step::Jump(start));
            }
            Op::End => steps.push(Step::End),
        }
        fresh = false;
    }
}
