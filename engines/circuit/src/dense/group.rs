//! Which of a tile's steps share a sweep. Steps come in an order; one may go before others only where it
//! commutes with them, because one of the two selects or because they have no wire in common.

use smallvec::SmallVec;

use super::fuse::{Step, Wires, bits, controlled, embed, exchanged, identity4, times4};
use super::left::Left;
use crate::C64;

/// Steps that are looked at after the last that could be taken.
const AHEAD: usize = 32;
/// The most wires above the lanes in a group: eight cells fill half of the vector registers.
const CELLS: usize = 3;
/// The most rotations of lanes in a group.
const LANES: usize = 16;
/// The slot after the first rotation of a lane; slots below come after so many rotations of cells.
pub const LANE_SLOT: usize = CELLS + 1;

/// What sweeps cost, in cycles of a current server processor for each cell. They were measured; only their
/// ratios matter, and only for choosing.
#[derive(Debug)]
pub struct Cost {
    /// At least this: the cache's time for the bytes.
    sweep: f64,
    /// Before any arithmetic.
    start: f64,
    multiply_add: f64,
    /// The rotation of a lane.
    lane: f64,
    /// A matrix on two wires.
    matrix: f64,
    /// What phases that reach out of a group cost later.
    straddle: f64,
}

/// For tiles in the second-level cache.
pub const LARGE: Cost = Cost {
    sweep: 7.0,
    start: 2.0,
    multiply_add: 0.38,
    lane: 1.1,
    matrix: 10.0,
    straddle: 5.0,
};

/// For small tiles, where chains of arithmetic are waited for.
pub const SMALL: Cost = Cost {
    sweep: 0.0,
    start: 5.0,
    multiply_add: 0.5,
    lane: 4.0,
    matrix: 6.5,
    straddle: 4.0,
};

/// What to do next.
pub enum Found {
    /// Rotations with phases between them.
    Turns(Box<Group>),
    /// Everything on two wires, as one matrix.
    Matrix(Pair),
    /// Phases, by their indices.
    Phases(Vec<usize>),
    /// A step by itself.
    Step(usize),
}

/// Steps by their indices, for one sweep of rotations.
#[derive(Debug, Default)]
pub struct Group {
    /// The wires above the lanes, in the order of their rotations, and each rotation.
    pub cells: SmallVec<[(u32, Option<usize>); CELLS]>,
    /// Rotations of lanes, after those of cells.
    pub lanes: SmallVec<[usize; 8]>,
    /// Phases, and the slot that each belongs to: after as many rotations.
    pub phases: SmallVec<[(usize, usize); 16]>,
    cost: f64,
}

impl Group {
    /// All steps taken.
    pub fn steps(&self) -> impl Iterator<Item = usize> {
        let turns = self.cells.iter().filter_map(|c| c.1);
        let lanes = self.lanes.iter().copied();
        turns.chain(lanes).chain(self.phases.iter().map(|p| p.0))
    }

    fn worth(&self) -> f64 {
        let turns = self.cells.iter().filter(|c| c.1.is_some()).count() + self.lanes.len();
        turns as f64 / self.cost
    }
}

/// Steps by their indices, all on the same one or two wires.
#[derive(Debug)]
pub struct Pair {
    /// The wires; the first is the lower bit of the matrix.
    pub on: SmallVec<[u32; 2]>,
    /// The steps.
    pub steps: SmallVec<[usize; 16]>,
    worth: f64,
}

impl Pair {
    /// The product of the steps' matrices; of two rows and columns for one wire.
    pub fn product(&self, steps: &[Option<Step>]) -> Vec<C64> {
        let upper = |q: u32| self.on.get(1) == Some(&q);
        let whole = self.steps.iter().fold(identity4(), |before, &i| {
            let m = match &steps[i] {
                Some(Step::Turn(turn, q)) => embed(&turn.matrix(), upper(*q)),
                Some(Step::Phase(mask, factor)) => {
                    let mut m = identity4();
                    for x in 0..4 {
                        let all = (0..self.on.len())
                            .fold(0u64, |all, b| all | ((x >> b & 1) as u64) << self.on[b]);
                        if all & mask == *mask {
                            m[5 * x] = *factor;
                        }
                    }
                    m
                }
                Some(Step::One(m, q, 0)) => embed(m, upper(*q)),
                Some(Step::One(m, q, _)) if upper(*q) => controlled(m),
                Some(Step::One(m, _, _)) => exchanged(&controlled(m)),
                Some(Step::Two(m, on, _)) if on[0] == self.on[0] => **m,
                Some(Step::Two(m, _, _)) => exchanged(m),
                Some(Step::Many(..)) | None => identity4(),
            };
            times4(&m, &before)
        });
        if self.on.len() == 2 {
            return whole.to_vec();
        }
        vec![whole[0], whole[1], whole[4], whole[5]]
    }
}

/// What to do first of these steps, on a tile of the wires `inside`, of which some are lanes. There is at
/// least one step.
pub fn find(steps: &[Option<Step>], lanes: u64, inside: u64, cost: &Cost) -> Found {
    let mixing = |s: &Option<Step>| matches!(s, Some(step) if step.mixes() != 0);
    let Some(first) = steps.iter().position(mixing) else {
        return Found::Phases(all_phases(steps));
    };
    let (group, pair) = match &steps[first] {
        // Looking for the best takes longer than a small state does.
        Some(Step::Turn(..)) if cost.sweep == 0.0 => {
            let pair = pair(steps, first, inside, cost);
            let group = pair.is_none().then(|| group(steps, lanes, &[], cost));
            (group, pair)
        }
        Some(Step::Turn(..)) => {
            let sets = sets(&steps[first..], lanes, inside);
            let groups = sets.iter().map(|set| group(steps, lanes, set, cost));
            let best = groups.max_by(|a, b| a.worth().total_cmp(&b.worth()));
            (best, pair(steps, first, inside, cost))
        }
        Some(Step::One(..) | Step::Two(..)) if cost.sweep > 0.0 => {
            (None, pair(steps, first, inside, cost))
        }
        _ => (None, None),
    };
    let of_group = group.as_ref().map_or(0.0, Group::worth);
    match (group, pair) {
        (_, Some(pair)) if pair.worth > of_group => Found::Matrix(pair),
        (Some(group), _) if of_group > 0.0 => Found::Turns(Box::new(group)),
        _ => {
            let mixes = steps[first].as_ref().map_or(0, Step::mixes);
            let waits = steps[..first]
                .iter()
                .flatten()
                .any(|s| s.selects() & mixes != 0);
            if waits {
                Found::Phases(all_phases(steps))
            } else {
                Found::Step(first)
            }
        }
    }
}

/// Every phase that no step before it hinders.
fn all_phases(steps: &[Option<Step>]) -> Vec<usize> {
    let mut left = Left::default();
    let mut taken = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let Some(step) = step else { continue };
        let on = step.wires();
        if on.mixes == 0 && left.allows(on) {
            taken.push(i);
        } else {
            left.leave(on);
        }
    }
    taken
}

/// Wires above the lanes.
type Set = SmallVec<[u32; CELLS]>;

/// Sets of wires above the lanes that are worth a look: those of the next one to three rotations, and the
/// first with the wires that phases tie to it.
fn sets(steps: &[Option<Step>], lanes: u64, inside: u64) -> SmallVec<[Set; 8]> {
    let cells = inside & !lanes;
    let (mut next, mut tied) = (Set::new(), Set::new());
    for step in steps.iter().flatten().take(AHEAD) {
        match step {
            Step::Turn(_, q) if cells >> q & 1 == 1 && next.len() < CELLS && !next.contains(q) => {
                if next.is_empty() {
                    tied.push(*q);
                }
                next.push(*q);
            }
            Step::Phase(mask, _) if tied.len() < CELLS => {
                let known = tied.iter().fold(0u64, |m, w| m | (1 << w));
                let other = mask & cells & !known;
                if mask & known != 0 && other.count_ones() == 1 {
                    tied.push(other.trailing_zeros());
                }
            }
            _ => {}
        }
    }
    let first = |set: &Set, n: usize| Set::from_slice(&set[..n]);
    // The first rotation is taken in any case.
    let lane = matches!(steps.first(), Some(Some(Step::Turn(_, q))) if lanes >> q & 1 == 1);
    let fewest = usize::from(!lane).min(next.len());
    let mut sets: SmallVec<[Set; 8]> = (fewest..=next.len()).map(|n| first(&next, n)).collect();
    for set in (2..=tied.len()).map(|n| first(&tied, n)) {
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    sets
}

/// Everything that one sweep can do on these wires and the lanes.
fn group(steps: &[Option<Step>], lanes: u64, set: &[u32], cost: &Cost) -> Group {
    let inside = set.iter().fold(lanes, |m, w| m | (1 << w));
    let mut group = Group::default();
    let (mut left, mut turned) = (Left::default(), 0u64);
    // For each wire: the slot after its last rotation, and the last slot of its phases.
    let (mut after, mut last) = ([0u8; 64], [0u8; 64]);
    let (mut straddles, mut idle) = (false, 0);
    for (i, step) in steps.iter().enumerate() {
        let Some(step) = step else { continue };
        idle += 1;
        let on = step.wires();
        let free = left.allows(on);
        match step {
            Step::Phase(mask, _) if free && mask & !inside == 0 => {
                let wires = || bits(*mask);
                let slot = wires().map(|w| after[w]).max().unwrap_or_default();
                wires().for_each(|w| last[w] = last[w].max(slot));
                group.phases.push((i, slot.into()));
                idle = 0;
                continue;
            }
            Step::Phase(mask, _) => straddles |= free && mask & turned != 0,
            Step::Turn(_, q) if free && inside >> q & 1 == 1 => {
                let wire = *q as usize;
                let stage = group.cells.len();
                let lane = lanes >> q & 1 == 1 && group.lanes.len() < LANES;
                let known = lane || lanes >> q & 1 == 0;
                if lane || (known && turned >> q & 1 == 0 && usize::from(last[wire]) <= stage) {
                    if lane {
                        after[wire] = (LANE_SLOT + group.lanes.len()) as u8;
                        group.lanes.push(i);
                    } else {
                        after[wire] = stage as u8 + 1;
                        group.cells.push((*q, Some(i)));
                    }
                    turned |= 1 << q;
                    idle = 0;
                    continue;
                }
            }
            _ => {}
        }
        left.leave(on);
        if idle == AHEAD || left.touches_all(inside) {
            break;
        }
    }
    let slots = group.phases.iter().fold(0u64, |slots, p| slots | 1 << p.1);
    let sums = 2 * group.cells.len() + 3 * slots.count_ones() as usize;
    let arithmetic = cost.multiply_add * sums as f64 + cost.lane * group.lanes.len() as f64;
    group.cost = cost.sweep.max(cost.start + arithmetic);
    if straddles {
        group.cost += cost.straddle;
    }
    for q in set {
        if !group.cells.iter().any(|c| c.0 == *q) {
            group.cells.push((*q, None));
        }
    }
    group
}

/// Everything on the first mixing step's wires and the next one's, or on those of its control.
fn pair(steps: &[Option<Step>], first: usize, inside: u64, cost: &Cost) -> Option<Pair> {
    let step = steps[first].as_ref()?;
    let mut wires = step.mixes();
    match step {
        Step::One(_, _, controls) => wires |= controls,
        Step::Two(_, _, controls) if *controls != 0 => return None,
        _ => {}
    }
    let near = steps[first..].iter().flatten().take(AHEAD);
    let own = wires;
    // Rotations of one wire look for the other in a phase or step that both are in.
    for step in near {
        let on = step.wires();
        let all = on.mixes | on.selects;
        if wires.count_ones() == 1 && all & own != 0 && (all | own).count_ones() == 2 {
            wires |= all;
        }
    }
    if wires & !inside != 0 {
        wires = own;
    }
    if wires.count_ones() > 2 || wires & !inside != 0 {
        return None;
    }
    let (mut taken, mut left) = (SmallVec::new(), Left::default());
    let (mut worth, mut idle, mut straddles, mut mixing) = (0.0, 0, false, 0);
    for (i, step) in steps.iter().enumerate() {
        let Some(step) = step else { continue };
        let on = step.wires();
        let Wires { mixes, selects } = on;
        let free = left.allows(on);
        let fits = match step {
            Step::Two(_, _, controls) => *controls == 0,
            Step::Many(..) => false,
            _ => true,
        };
        if free && fits && (mixes | selects) & !wires == 0 {
            taken.push(i);
            mixing += u32::from(mixes != 0);
            worth += match step {
                Step::Turn(..) | Step::One(_, _, 0) => 1.0,
                Step::One(..) => 0.7,
                Step::Two(..) => 2.0,
                _ => 0.0,
            };
            idle = 0;
            continue;
        }
        straddles |= free && mixes == 0 && selects & wires != 0 && mixing > 0;
        left.leave(on);
        idle += 1;
        if idle == AHEAD || left.touches_all(wires) {
            break;
        }
    }
    // A controlled matrix by itself needs only the cells where the control is 1.
    if mixing == 0 || mixing == 1 && matches!(step, Step::One(_, _, c) if *c != 0) {
        return None;
    }
    let cost = cost.matrix + if straddles { cost.straddle } else { 0.0 };
    Some(Pair {
        on: bits(wires).map(|w| w as u32).collect(),
        steps: taken,
        worth: worth / cost,
    })
}
