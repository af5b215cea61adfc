//! Contestants take turns, so that whatever else changes on the machine meets all of them.

/// Rounds in which every contestant has one turn; who begins rotates from round to round.
#[derive(Debug, Clone, Copy)]
pub struct Contest<'a> {
    names: &'a [&'static str],
    rounds: usize,
}

/// One turn of one contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// From 1.
    pub round: usize,
    /// Whose turn it is.
    pub name: &'static str,
}

/// What was measured in the turns.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    all: Vec<(Turn, f64)>,
}

/// Median, least and greatest of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl<'a> Contest<'a> {
    /// A contest of these contestants.
    pub fn new(names: &'a [&'static str], rounds: usize) -> Self {
        Self { names, rounds }
    }

    /// All turns in order.
    pub fn turns(self) -> impl Iterator<Item = Turn> + use<'a> {
        let Self { names, rounds } = self;
        (0..rounds).flat_map(move |round| {
            names
                .iter()
                .cycle()
                .skip(round % names.len().max(1))
                .take(names.len())
                .map(move |&name| Turn {
                    round: round + 1,
                    name,
                })
        })
    }
}

impl Figures {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the figure of a turn; several figures of one turn are not meant.
    pub fn record(&mut self, turn: Turn, figure: f64) {
        self.all.push((turn, figure));
    }

    fn of(&self, name: &str) -> impl Iterator<Item = (usize, f64)> {
        self.all
            .iter()
            .filter(move |(turn, _)| turn.name == name)
            .map(|(turn, figure)| (turn.round, *figure))
    }

    /// The figures of one contestant; none when it had no turn.
    pub fn spread(&self, name: &str) -> Option<Spread> {
        Spread::of(self.of(name).map(|(_, figure)| figure).collect())
    }

    /// The median of the ratios of two contestants in the same round: neighbours in time share what the machine did
    /// meanwhile, so this is steadier than the ratio of the medians.
    pub fn ratio(&self, name: &str, other: &str) -> Option<f64> {
        let ratios = self.of(name).flat_map(|(round, figure)| {
            self.of(other)
                .filter(move |(r, _)| *r == round)
                .map(move |(_, theirs)| figure / theirs)
        });
        Spread::of(ratios.collect()).map(|spread| spread.median)
    }
}

impl Spread {
    /// Of these figures; none of no figures.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let n = figures.len();
        let upper = *figures.get(n / 2)?;
        let median = if n % 2 == 1 {
            upper
        } else {
            (figures.get(n / 2 - 1)? + upper) / 2.0
        };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_in_each_round_and_the_first_one_rotates() {
        let turns: Vec<_> = Contest::new(&["a", "b", "c"], 4).turns().collect();
        let names: Vec<_> = turns.iter().map(|t| t.name).collect();
        assert_eq!(names.join(""), "abcbcacababc");
        assert_eq!(turns[3].round, 2);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut figures = Figures::new();
        for turn in Contest::new(&["a", "b"], 3).turns() {
            // The machine becomes ten times slower from round to round; a stays twice as fast as b.
            let slow = 10f64.powi(turn.round as i32);
            figures.record(turn, if turn.name == "a" { 200.0 } else { 100.0 } / slow);
        }
        assert_eq!(figures.ratio("a", "b"), Some(2.0));
        let spread = figures.spread("b").unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (1.0, 0.1, 10.0));
        assert!(figures.spread("c").is_none() && figures.ratio("a", "c").is_none());
        assert_eq!(Spread::of(vec![4.0, 1.0]).unwrap().median, 2.5);
    }
}
