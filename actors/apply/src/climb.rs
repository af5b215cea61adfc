//! Finding out how many workers are worth having.

/// The bounds and the patience of a [`Climber`].
#[derive(Clone, Debug, PartialEq)]
pub struct ClimbConfig {
    /// Fewest workers; at least 1.
    pub least: usize,
    /// Most workers; at least `least`.
    pub most: usize,
    /// Workers to begin with.
    pub start: usize,
    /// Samples after a change that are not looked at, because the change shows late.
    pub settle: usize,
    /// Samples of which the median is one measurement; at least 1.
    pub window: usize,
    /// The share by which throughput must rise before more workers are kept.
    pub gain: f64,
    /// Samples at one level before its neighbours are tried again. Doubles, up to four times as many, each
    /// time that nothing better is found.
    pub rest: usize,
}

impl Default for ClimbConfig {
    /// For about one sample per second.
    fn default() -> Self {
        Self {
            least: 1,
            most: 16,
            start: 2,
            settle: 1,
            window: 3,
            gain: 0.05,
            rest: 20,
        }
    }
}

/// Whether the source or the destination suffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strain {
    /// Neither.
    #[default]
    None,
    /// It is at its limit: there must not be more workers.
    Hold,
    /// It has refused or delayed work: there must be fewer workers, at once.
    Ease,
}

/// What was seen in one interval. All intervals are equally long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Work done in the interval, in any unit.
    pub throughput: f64,
    /// How source and destination felt.
    pub strain: Strain,
}

/// Raises the number of workers until throughput stops rising, and lowers it when a database suffers.
///
/// Of two levels with the same throughput it prefers the lower one: what more workers do not speed up they only
/// load. Pure: the same samples give the same levels.
#[derive(Clone, Debug)]
pub struct Climber {
    config: ClimbConfig,
    level: usize,
    phase: Phase,
    /// Samples still to be skipped.
    settling: usize,
    seen: Vec<f64>,
    /// The present number of samples of a rest.
    rest: usize,
    /// Probing goes down next, not up.
    down_next: bool,
    /// No higher level for so many samples, after strain.
    ceiling: Option<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Going up from a level with a known throughput; nothing known: at the beginning.
    Climb { from: Option<(usize, f64)>, step: usize },
    /// Staying; the throughput when the rest began, if it is known.
    Rest { rate: Option<f64>, left: usize },
    /// Trying a neighbour of the level `home`.
    Probe { home: usize, rate: f64 },
}

impl Climber {
    /// Begins at `config.start`.
    pub fn new(config: ClimbConfig) -> Self {
        let least = config.least.max(1);
        let config = ClimbConfig {
            least,
            most: config.most.max(least),
            window: config.window.max(1),
            rest: config.rest.max(1),
            ..config
        };
        Self {
            level: config.start.clamp(config.least, config.most),
            phase: Phase::Climb { from: None, step: 1 },
            settling: config.settle,
            seen: Vec::with_capacity(config.window),
            rest: config.rest,
            down_next: false,
            ceiling: None,
            config,
        }
    }

    /// The number of workers there should be now.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Takes one interval in and says how many workers there should be from now on.
    pub fn observe(&mut self, sample: Sample) -> usize {
        if let Some((level, left)) = self.ceiling {
            self.ceiling = left.checked_sub(1).map(|left| (level, left));
        }
        match sample.strain {
            Strain::Ease => return self.ease(),
            Strain::Hold => self.hold(),
            Strain::None => {}
        }
        if self.settling > 0 {
            self.settling -= 1;
            return self.level;
        }
        if let Phase::Rest { left, .. } = &mut self.phase {
            *left = left.saturating_sub(1);
        }
        self.seen.push(sample.throughput.max(0.0));
        if self.seen.len() >= self.config.window {
            let rate = median(&mut self.seen);
            self.seen.clear();
            self.measured(rate);
        }
        self.level
    }

    /// A quarter fewer, and no more than that for a while.
    fn ease(&mut self) -> usize {
        let lower = (self.level - self.level.div_ceil(4)).max(self.config.least);
        self.ceiling = Some((lower, self.config.rest * 4));
        self.rest = self.config.rest;
        self.stay(lower, None);
        self.level
    }

    /// No more than now for a while.
    fn hold(&mut self) {
        let level = self.ceiling.map_or(self.level, |(c, _)| c.min(self.level));
        self.ceiling = Some((level.max(self.config.least), self.config.rest));
    }

    fn top(&self) -> usize {
        self.ceiling
            .map_or(self.config.most, |(level, _)| level.min(self.config.most))
    }

    fn measured(&mut self, rate: f64) {
        let more = 1.0 + self.config.gain;
        match self.phase {
            Phase::Climb { from: None, step } => self.climb(self.level, rate, step),
            Phase::Climb {
                from: Some((low, known)),
                step,
            } => {
                let pays = rate >= known * more;
                if pays {
                    // Wider steps while it pays; the top may be far.
                    self.climb(self.level, rate, (step * 2).min(self.level));
                } else if step > 1 {
                    // Perhaps half of the step pays.
                    let half = step / 2;
                    self.go(
                        low + half,
                        Phase::Climb {
                            from: Some((low, known)),
                            step: half,
                        },
                    );
                } else {
                    self.stay(low, Some(known));
                }
            }
            Phase::Rest { rate: None, left } => {
                self.phase = Phase::Rest {
                    rate: Some(rate),
                    left,
                };
            }
            Phase::Rest {
                rate: Some(known),
                left,
            } => {
                // The work or the databases have changed.
                let changed = rate > known * 1.5 || rate < known * 0.6;
                if changed {
                    self.rest = self.config.rest;
                }
                if left == 0 || changed {
                    self.probe(rate);
                }
            }
            Phase::Probe { home, rate: known } => {
                let up = self.level > home;
                if up && rate >= known * more {
                    self.rest = self.config.rest;
                    self.climb(self.level, rate, 2);
                } else if !up && rate >= known * (1.0 - self.config.gain / 2.0) {
                    // Fewer do as much; perhaps still fewer do.
                    self.rest = self.config.rest;
                    self.down_next = true;
                    self.probe(rate);
                } else {
                    self.rest = (self.rest * 2).min(self.config.rest * 4);
                    self.down_next = up;
                    self.stay(home, Some(known));
                }
            }
        }
    }

    /// From the present level, whose throughput is known, some steps up.
    fn climb(&mut self, level: usize, rate: f64, step: usize) {
        let next = (level + step.max(1)).min(self.top());
        if next > level {
            self.go(
                next,
                Phase::Climb {
                    from: Some((level, rate)),
                    step: next - level,
                },
            );
        } else {
            self.stay(level, Some(rate));
        }
    }

    /// From the present level, whose throughput is known, to a neighbour.
    fn probe(&mut self, rate: f64) {
        let home = self.level;
        let up = (home < self.top()).then_some(home + 1);
        let down = (home > self.config.least).then_some(home - 1);
        let next = if self.down_next { down.or(up) } else { up.or(down) };
        match next {
            Some(next) => self.go(next, Phase::Probe { home, rate }),
            None => self.stay(home, Some(rate)),
        }
    }

    fn stay(&mut self, level: usize, rate: Option<f64>) {
        let left = self.rest;
        self.go(level, Phase::Rest { rate, left });
    }

    fn go(&mut self, level: usize, phase: Phase) {
        let level = level.clamp(self.config.least, self.top());
        if level != self.level {
            self.settling = self.config.settle;
        }
        self.level = level;
        self.phase = phase;
        self.seen.clear();
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Throughput by number of workers: rises by `each` per worker up to `knee`, then falls by `fall` of itself
    /// with every further worker.
    #[derive(Clone, Debug)]
    struct Curve {
        each: f64,
        knee: f64,
        fall: f64,
    }

    impl Curve {
        fn at(&self, level: usize) -> f64 {
            let level = level as f64;
            let beyond = (level - self.knee).max(0.0);
            self.each * level.min(self.knee) * (1.0 - self.fall).powf(beyond)
        }

        fn best(&self, config: &ClimbConfig) -> f64 {
            (config.least..=config.most)
                .map(|l| self.at(l))
                .fold(0.0, f64::max)
        }
    }

    fn curve() -> impl Strategy<Value = Curve> {
        (1.0..1e6f64, 1.0..20.0f64, 0.0..0.3f64).prop_map(|(each, knee, fall)| Curve { each, knee, fall })
    }

    /// Runs so many samples with a noise of ±2 %, and gives the levels.
    fn run(climber: &mut Climber, curve: &Curve, samples: usize, noise: &[f64]) -> Vec<usize> {
        (0..samples)
            .map(|i| {
                let factor = 1.0 + 0.02 * noise[i % noise.len()];
                climber.observe(Sample {
                    throughput: curve.at(climber.level()) * factor,
                    strain: Strain::None,
                })
            })
            .collect()
    }

    fn mean_rate(curve: &Curve, levels: &[usize]) -> f64 {
        levels.iter().map(|l| curve.at(*l)).sum::<f64>() / levels.len() as f64
    }

    fn noise() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(-1.0..1.0f64, 50..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// After a while nearly all of the best throughput is had, and not with many more workers than that takes.
        #[test]
        fn the_top_is_found(curve in curve(), noise in noise(), start in 1usize..16) {
            let config = ClimbConfig { start, ..ClimbConfig::default() };
            let mut climber = Climber::new(config.clone());
            run(&mut climber, &curve, 400, &noise);
            let levels = run(&mut climber, &curve, 600, &noise);
            let best = curve.best(&config);
            prop_assert!(mean_rate(&curve, &levels) >= 0.85 * best, "{:?}", &levels[..20]);
            let enough = (config.least..=config.most).find(|l| curve.at(*l) >= 0.99 * best).unwrap();
            let mean = levels.iter().sum::<usize>() as f64 / levels.len() as f64;
            prop_assert!(mean <= enough as f64 + 1.5, "{mean} where {enough} are enough");
        }

        /// Climbing is quick: half of the best within 40 samples, whatever the start.
        #[test]
        fn the_way_up_is_short(curve in curve(), noise in noise()) {
            let config = ClimbConfig::default();
            let mut climber = Climber::new(config.clone());
            run(&mut climber, &curve, 40, &noise);
            prop_assert!(curve.at(climber.level()) >= 0.5 * curve.best(&config), "level {}", climber.level());
        }

        /// When the databases become slower or faster, the new top is found.
        #[test]
        fn a_change_is_followed(before in curve(), after in curve(), noise in noise()) {
            let config = ClimbConfig::default();
            let mut climber = Climber::new(config.clone());
            run(&mut climber, &before, 300, &noise);
            run(&mut climber, &after, 1500, &noise);
            let levels = run(&mut climber, &after, 600, &noise);
            prop_assert!(mean_rate(&after, &levels) >= 0.85 * after.best(&config));
        }

        /// A database that suffers above some level is mostly left in peace, and the bounds hold whatever is seen.
        #[test]
        fn strain_is_answered(curve in curve(), limit in 1usize..12, noise in noise()) {
            let mut climber = Climber::new(ClimbConfig::default());
            let mut above = 0;
            for i in 0..1000 {
                let level = climber.level();
                let strain = if level > limit { Strain::Ease } else { Strain::None };
                above += usize::from(level > limit);
                let throughput = curve.at(level) * (1.0 + 0.02 * noise[i % noise.len()]);
                let next = climber.observe(Sample { throughput, strain });
                prop_assert!((1..=16).contains(&next));
                prop_assert!(strain != Strain::Ease || next < level || level == 1);
            }
            prop_assert!(above <= 60, "{above} of 1000 samples above the limit");
        }

        /// Held, the level does not rise.
        #[test]
        fn a_hold_is_obeyed(samples in prop::collection::vec((0.0..1e6f64, 0..8u8), 1..400)) {
            let mut climber = Climber::new(ClimbConfig::default());
            for (throughput, kind) in samples {
                let level = climber.level();
                let strain = match kind {
                    0 => Strain::Ease,
                    1 | 2 => Strain::Hold,
                    _ => Strain::None,
                };
                let next = climber.observe(Sample { throughput, strain });
                prop_assert!(strain == Strain::None || next <= level);
                prop_assert!((1..=16).contains(&next));
            }
        }
    }

    #[test]
    fn nonsense_in_the_configuration_is_bounded() {
        let climber = Climber::new(ClimbConfig {
            least: 0,
            most: 0,
            start: 9,
            window: 0,
            ..ClimbConfig::default()
        });
        assert_eq!(climber.level(), 1);
    }
}
