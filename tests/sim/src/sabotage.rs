//! What can be broken on purpose, so that it is known that the simulation sees it.

/// A part that does not do what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    /// Everything does what it says.
    #[default]
    None,
    /// The store acknowledges writes that it dropped.
    StoreForgets,
    /// The store takes back what it acknowledged: an old record comes again.
    StoreRevives,
    /// The output's disk acknowledges writes of which it kept all but the last byte.
    OutputLosesBytes,
    /// The engine boots an instance although it has one.
    EngineBootsTwice,
    /// The engine's halt answers and halts nothing.
    EngineHaltsNothing,
    /// The link to the node answers halts that it never passed on.
    LinkSwallowsHalts,
    /// The agent starts a program again when its output is asked for again.
    AgentStartsTwice,
    /// The node says that it has ten times what it has.
    NodeBoasts,
    /// The engine loses instances and says nothing of it.
    EngineLosesInstances,
    /// The agent answers some requests with nothing, for ever.
    AgentHangs,
    /// The store acknowledges claims of pooled sandboxes that it dropped.
    StoreForgetsClaims,
    /// The store takes claims back when it is opened anew: what was claimed is pooled again.
    StoreUnclaims,
    /// The store does not show a new server what waits in pools.
    StoreHidesPools,
    /// The store acknowledges what requests have made and forgets that they have.
    StoreForgetsRequests,
}

impl Sabotage {
    /// All but none.
    pub const ALL: [Self; 14] = [
        Self::StoreForgets,
        Self::StoreRevives,
        Self::OutputLosesBytes,
        Self::EngineBootsTwice,
        Self::EngineHaltsNothing,
        Self::LinkSwallowsHalts,
        Self::AgentStartsTwice,
        Self::NodeBoasts,
        Self::EngineLosesInstances,
        Self::AgentHangs,
        Self::StoreForgetsClaims,
        Self::StoreUnclaims,
        Self::StoreHidesPools,
        Self::StoreForgetsRequests,
    ];
}
