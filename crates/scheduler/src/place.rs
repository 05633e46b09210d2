//! The choice itself.

use sentinal_model::{Code, Cpu, EngineChoice, EngineName, Error, Isolation, Memory, NodeId, Placement, limits};

use crate::Room;

/// What is to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Which engine.
    pub engine: EngineChoice,
    /// Cores.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
}

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Nothing weaker is ever used.
    pub minimum_isolation: Isolation,
    /// How much may be promised.
    pub overcommit: Overcommit,
}

/// How much a node may promise to its sandboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overcommit {
    /// How many times its cores.
    pub cpu: u64,
    /// How many times its memory.
    pub memory: u64,
    /// How many sandboxes.
    pub sandboxes: usize,
    /// Percent of its memory that must be available for one more.
    pub memory_available_percent: u64,
}

impl Default for Overcommit {
    fn default() -> Self {
        Self {
            cpu: limits::CPU_OVERCOMMIT,
            memory: limits::MEMORY_OVERCOMMIT,
            sandboxes: limits::SANDBOXES_PER_NODE_MAX,
            memory_available_percent: limits::MEMORY_AVAILABLE_PERCENT_MIN,
        }
    }
}

impl Default for Policy {
    /// At least a kernel of its own in user space: the host's own kernel must be allowed explicitly.
    fn default() -> Self {
        Self { minimum_isolation: Isolation::UserspaceKernel, overcommit: Overcommit::default() }
    }
}

/// A machine that may run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which.
    pub id: NodeId,
    /// What it said about its engines; one that is missing here is not part of that node.
    pub engines: Vec<EngineState>,
    /// What it has.
    pub room: Room,
}

/// An engine on a node, as its last probe found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineState {
    /// Which.
    pub name: EngineName,
    /// `Err` says why it cannot be used.
    pub usable: Result<(), String>,
    /// Whether one that fits the request waits here, booted, for whoever asks.
    pub warm: bool,
}

/// Where a sandbox comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It is to be booted.
    Boot,
    /// It waits, booted.
    Pool,
}

/// Why nothing serves the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlace {
    /// The named engine is weaker than the policy's minimum.
    Forbidden {
        /// What was asked for.
        engine: EngineName,
        /// What the policy wants.
        minimum: Isolation,
    },
    /// No engine that may be used can be used; a reason for each.
    Unavailable(Vec<(EngineName, String)>),
    /// An engine is there, but no room; a reason for each node.
    NoCapacity(Vec<(NodeId, String)>),
}

/// Places a sandbox: the strongest engine that is allowed, usable and has room, on a node where one that fits waits,
/// else on the one with the most available memory. One that waits has its room already.
pub fn place(request: &Request, nodes: &[Node], policy: Policy) -> Result<(Placement, Source), NoPlace> {
    let candidates = candidates(request.engine, policy)?;
    let mut unusable = Vec::new();
    let mut full = Vec::new();
    for engine in candidates {
        let usable: Vec<&Node> = nodes.iter().filter(|node| node.usable(engine).is_ok()).collect();
        if usable.is_empty() {
            unusable.push((engine, why_unusable(engine, nodes)));
            continue;
        }
        let (fitting, refused): (Vec<_>, Vec<_>) = usable
            .into_iter()
            .map(|node| (node, node.room_for(request, engine).refusal(request.cpu, request.memory, policy.overcommit)))
            .partition(|(_, refusal)| refusal.is_none());
        let best = |(node, _): &(&Node, _)| (node.source(engine) == Source::Pool, node.room.memory_bytes_left());
        if let Some((node, _)) = fitting.into_iter().max_by_key(best) {
            let source = node.source(engine);
            let reason = reason(request.engine, engine, &unusable) + source.reason();
            return Ok((Placement { node: node.id.clone(), engine, reason }, source));
        }
        full.extend(refused.into_iter().filter_map(|(node, refusal)| Some((node.id.clone(), refusal?))));
    }
    Err(if full.is_empty() { NoPlace::Unavailable(unusable) } else { NoPlace::NoCapacity(full) })
}

/// The engines that may serve the request, strongest first.
fn candidates(choice: EngineChoice, policy: Policy) -> Result<Vec<EngineName>, NoPlace> {
    let minimum = policy.minimum_isolation;
    match choice {
        EngineChoice::Named(engine) if engine.isolation() < minimum => Err(NoPlace::Forbidden { engine, minimum }),
        EngineChoice::Named(engine) => Ok(vec![engine]),
        EngineChoice::Auto => Ok(EngineName::ALL.into_iter().filter(|engine| engine.isolation() >= minimum).collect()),
    }
}

/// Why no node can use the engine.
fn why_unusable(engine: EngineName, nodes: &[Node]) -> String {
    let reasons: Vec<String> =
        nodes.iter().filter_map(|node| Some(format!("{}: {}", node.id, node.usable(engine).err()?))).collect();
    match (reasons.as_slice(), nodes) {
        ([], _) => "no node is connected".to_owned(),
        ([_], [node]) => node.usable(engine).err().unwrap_or_default(),
        (reasons, _) => reasons.join("; "),
    }
}

/// The reason as the caller reads it.
fn reason(choice: EngineChoice, engine: EngineName, passed_over: &[(EngineName, String)]) -> String {
    match (choice, passed_over) {
        (EngineChoice::Named(_), _) => format!("{engine} was asked for"),
        (EngineChoice::Auto, []) => format!("{engine} is the strongest engine there is"),
        (EngineChoice::Auto, passed_over) => {
            let reasons: Vec<String> =
                passed_over.iter().map(|(engine, reason)| format!("{engine}: {reason}")).collect();
            format!("{engine} is the strongest engine that can be used; {}", reasons.join("; "))
        }
    }
}

impl Source {
    /// What the caller reads after the reason for the engine.
    const fn reason(self) -> &'static str {
        match self {
            Self::Boot => "",
            Self::Pool => "; it was waiting in the warm pool",
        }
    }
}

impl Node {
    /// Where a sandbox on this engine would come from.
    fn source(&self, engine: EngineName) -> Source {
        let warm = self.engines.iter().any(|state| state.name == engine && state.warm);
        if warm { Source::Pool } else { Source::Boot }
    }

    /// What there is for the request: what one that waits for it holds is its own.
    fn room_for(&self, request: &Request, engine: EngineName) -> Room {
        match self.source(engine) {
            Source::Boot => self.room,
            Source::Pool => self.room.without(request.cpu, request.memory),
        }
    }

    /// Whether the engine can be used here, or why not.
    fn usable(&self, engine: EngineName) -> Result<(), String> {
        let state = self.engines.iter().find(|state| state.name == engine);
        state.map_or_else(|| Err("not part of this node".to_owned()), |state| state.usable.clone())
    }
}

impl From<NoPlace> for Error {
    fn from(refusal: NoPlace) -> Self {
        match refusal {
            NoPlace::Forbidden { engine, minimum } => Self::new(
                Code::Forbidden,
                format!(
                    "engine {engine} gives {} isolation, but this server requires at least {minimum}; ask for another engine or leave it out",
                    engine.isolation()
                ),
            ),
            NoPlace::Unavailable(reasons) => {
                let list: Vec<String> = reasons.iter().map(|(engine, reason)| format!("{engine}: {reason}")).collect();
                Self::new(Code::Unavailable, format!("no engine can serve this now. {}", list.join("; ")))
            }
            NoPlace::NoCapacity(reasons) => {
                let list: Vec<String> = reasons.iter().map(|(node, reason)| format!("node {node}: {reason}")).collect();
                Self::new(
                    Code::NoCapacity,
                    format!("no node has room for it now; try again later or ask for less. {}", list.join("; ")),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn node(name: &str, engines: &[(EngineName, Result<(), &str>)]) -> Node {
        Node {
            id: NodeId::from_stored(name),
            engines: engines
                .iter()
                .map(|(name, usable)| EngineState { name: *name, usable: usable.map_err(str::to_owned), warm: false })
                .collect(),
            room: Room {
                cpu_milli_total: 2000,
                cpu_milli_promised: 0,
                memory_bytes_total: 8 * GIB,
                memory_bytes_available: 6 * GIB,
                memory_bytes_promised: 0,
                memory_bytes_unmeasured: 0,
                memory_pressure: None,
                disk_bytes_total: 100 * GIB,
                disk_bytes_available: 50 * GIB,
                sandboxes: 0,
            },
        }
    }

    fn request(engine: EngineChoice) -> Request {
        Request { engine, cpu: Cpu::try_from_cores(1.0).unwrap(), memory: "1Gi".parse().unwrap() }
    }

    fn check(engine: EngineChoice, nodes: &[Node], expect: Result<(&str, EngineName), NoPlace>) {
        let placed = place(&request(engine), nodes, Policy::default());
        assert_eq!(
            placed.as_ref().map(|(placement, _)| (placement.node.as_str(), placement.engine)),
            expect.as_ref().map(|place| *place)
        );
    }

    #[test]
    fn auto_takes_the_strongest_engine_that_can_be_used() {
        let weak = node("a", &[(EngineName::Gvisor, Ok(()))]);
        let strong = node("b", &[(EngineName::Gvisor, Ok(())), (EngineName::Firecracker, Ok(()))]);
        check(EngineChoice::Auto, &[weak.clone(), strong], Ok(("b", EngineName::Firecracker)));
        check(EngineChoice::Auto, &[weak], Ok(("a", EngineName::Gvisor)));
    }

    #[test]
    fn auto_says_what_it_passed_over() {
        let placed = place(
            &request(EngineChoice::Auto),
            &[node("a", &[(EngineName::Gvisor, Ok(())), (EngineName::Firecracker, Err("no /dev/kvm"))])],
            Policy::default(),
        );
        let reason = placed.unwrap().0.reason;
        assert_eq!(
            reason,
            "gvisor is the strongest engine that can be used; firecracker: no /dev/kvm; kata: not part of this node"
        );
    }

    #[test]
    fn nothing_weaker_than_the_minimum_is_ever_chosen() {
        let native_only = node("a", &[(EngineName::Native, Ok(()))]);
        let forbidden = NoPlace::Forbidden { engine: EngineName::Native, minimum: Isolation::UserspaceKernel };
        check(EngineChoice::Named(EngineName::Native), std::slice::from_ref(&native_only), Err(forbidden));
        let placed = place(&request(EngineChoice::Auto), &[native_only], Policy::default());
        assert!(matches!(placed, Err(NoPlace::Unavailable(reasons)) if reasons.len() == 3));
    }

    #[test]
    fn a_named_engine_that_cannot_be_used_is_never_replaced() {
        let nodes = [node("a", &[(EngineName::Gvisor, Ok(())), (EngineName::Firecracker, Err("no /dev/kvm"))])];
        let unavailable = NoPlace::Unavailable(vec![(EngineName::Firecracker, "no /dev/kvm".to_owned())]);
        check(EngineChoice::Named(EngineName::Firecracker), &nodes, Err(unavailable));
    }

    #[test]
    fn the_node_with_the_most_available_memory_is_chosen() {
        let mut roomy = node("b", &[(EngineName::Gvisor, Ok(()))]);
        roomy.room.memory_bytes_available = 7 * GIB;
        check(EngineChoice::Auto, &[node("a", &[(EngineName::Gvisor, Ok(()))]), roomy], Ok(("b", EngineName::Gvisor)));
    }

    fn warm(name: &str, engine: EngineName) -> Node {
        let mut node = node(name, &[(EngineName::Gvisor, Ok(())), (EngineName::Firecracker, Ok(()))]);
        node.engines.iter_mut().filter(|state| state.name == engine).for_each(|state| state.warm = true);
        node
    }

    #[test]
    fn one_that_waits_is_taken_on_the_engine_that_is_chosen_anyway() {
        let mut roomy = warm("roomy", EngineName::Gvisor);
        roomy.room.memory_bytes_available = 7 * GIB;
        let nodes = [roomy.clone(), warm("warm", EngineName::Firecracker)];
        let (placement, source) = place(&request(EngineChoice::Auto), &nodes, Policy::default()).unwrap();
        assert_eq!((placement.node.as_str(), source), ("warm", Source::Pool));
        assert_eq!(placement.reason, "firecracker is the strongest engine there is; it was waiting in the warm pool");
        // A weaker engine is not chosen for being warm.
        let (placement, source) = place(&request(EngineChoice::Auto), &[roomy], Policy::default()).unwrap();
        assert_eq!((placement.engine, source), (EngineName::Firecracker, Source::Boot));
    }

    #[test]
    fn one_that_waits_has_its_room_already_but_not_what_is_really_there() {
        let mut full = warm("a", EngineName::Gvisor);
        full.room.memory_bytes_promised = 32 * GIB;
        full.room.sandboxes = Overcommit::default().sandboxes;
        let gvisor = request(EngineChoice::Named(EngineName::Gvisor));
        assert_eq!(place(&gvisor, &[full.clone()], Policy::default()).unwrap().1, Source::Pool);
        full.room.memory_bytes_available = GIB / 2;
        assert!(matches!(place(&gvisor, &[full], Policy::default()), Err(NoPlace::NoCapacity(_))));
    }

    #[test]
    fn a_full_node_says_what_is_full() {
        let full = |change: fn(&mut Room), words: &str| {
            let mut node = node("a", &[(EngineName::Gvisor, Ok(()))]);
            change(&mut node.room);
            let refused = place(&request(EngineChoice::Auto), &[node], Policy::default());
            let Err(NoPlace::NoCapacity(reasons)) = refused else { panic!("{refused:?}") };
            assert!(reasons[0].1.contains(words), "{reasons:?}");
        };
        full(
            |room| room.cpu_milli_promised = 31_500,
            "its cpu is promised: 31.500 of at most 32.000 cores, and 1 more",
        );
        full(|room| room.memory_bytes_promised = 32 * GIB, "its memory is promised");
        full(|room| room.memory_bytes_available = GIB / 2, "10 % of its memory");
        full(|room| room.disk_bytes_available = GIB, "3 % of its disk");
        full(|room| room.sandboxes = 2000, "2000 sandboxes");
    }

    #[test]
    fn without_nodes_every_engine_has_its_reason() {
        let placed = place(&request(EngineChoice::Auto), &[], Policy::default());
        assert!(
            matches!(placed, Err(NoPlace::Unavailable(reasons)) if reasons.iter().all(|(_, reason)| reason == "no node is connected"))
        );
    }
}
