//! Faults planted on purpose, so that the simulator can prove that it finds them. Never used outside tests.

/// What is wrong with the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// This row of the table never fires.
    WithoutRow(&'static str),
    /// This row of the table fires as soon as no order is under way, whatever its guard says.
    AlwaysRow(&'static str),
    /// So many votes fewer are asked for than the rule says (at least one).
    FewerVotes(usize),
    /// The least advanced candidate is elected instead of the furthest.
    ElectLeast,
    /// An order whose answer is lost is taken for done.
    AssumeDone,
    /// A fence is taken for proven when the setting is written, though the receiver still runs.
    TrustSetting,
    /// Signs of life at the standbys are overlooked.
    IgnoreLife,
    /// A primary that is left alive counts as fenced by its vote, without a mark.
    LeaveUnmarked,
    /// A shorter list is published to the voters before those that remain have caught up.
    ShrinkAtOnce,
}
