//! Sites, nodes and the residency policy: where the subnet is, and where it has to be.
//!
//! Invariants:
//! - The nodes keep to the policy whenever a change of them, of their sites or of the policy was carried out: a change after
//!   which they didn't is refused before anybody votes on it, and when it is carried out.
//! - The statement says where the nodes are, as of the last such change.
//! - A site with nodes is not removed.
//!
//! Cost: a change reads all sites and nodes, which are few ([`MAX_SITES`], [`MAX_NODES`]).

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    registry::{
        MAX_NAME_BYTES, MAX_NODES, MAX_SITES, MAX_SLUG_BYTES, Node, NodeRecord, PolicyRecord,
        RESIDENCY_KEY, ResidencyPolicy, ResidencyStatement, STATEMENT_KEY, Site, SiteRecord,
        principal_key, residency::MAX_COUNTRIES, slug_key,
    },
};
use indus_kit::{
    Change, Context,
    text::{self, invalid},
};

use crate::state::{NODE, POLICY, Plan, SITE, State, conflict, not_found};

/// The sites and nodes, as they are or would be.
struct Subnet {
    sites: BTreeMap<String, Site>,
    /// Node and site.
    nodes: BTreeMap<Principal, String>,
    policy: Option<ResidencyPolicy>,
}

impl Subnet {
    fn read<M: Memory>(state: &State<M>) -> Result<Self, Error> {
        let certified = &state.kit.certified;
        let sites = SITE
            .after(certified, None)
            .map(|(_, record)| record.map(|SiteRecord::V1(site)| (site.slug.clone(), site)));
        let nodes = NODE
            .after(certified, None)
            .map(|(_, record)| record.map(|NodeRecord::V1(node)| (node.node, node.site)));
        let policy = match POLICY.get(certified, &RESIDENCY_KEY)? {
            Some(PolicyRecord::ResidencyV1(policy)) => Some(policy),
            _ => None,
        };
        Ok(Self {
            sites: sites.collect::<Result<_, Error>>()?,
            nodes: nodes.collect::<Result<_, Error>>()?,
            policy,
        })
    }

    /// Where it is, if that is where it has to be.
    fn statement(&self, context: &Context) -> Result<ResidencyStatement, Error> {
        let mut countries = BTreeSet::new();
        let mut sites = BTreeSet::new();
        let mut operators: BTreeMap<&str, u32> = BTreeMap::new();
        let mut nodes = 0;
        for slug in self.nodes.values() {
            let site = self
                .sites
                .get(slug)
                .ok_or_else(|| not_found("site", slug))?;
            countries.insert(site.country.clone());
            sites.insert(slug);
            *operators.entry(&site.operator).or_default() += 1;
            nodes += 1;
        }
        let statement = ResidencyStatement {
            policy: self.policy.clone(),
            countries: countries.into_iter().collect(),
            sites: count(sites.len()),
            operators: count(operators.len()),
            nodes,
            largest_operator_nodes: operators.into_values().max().unwrap_or(0),
            as_of_ns: context.time_ns,
        };
        match &self.policy {
            Some(policy) => keeps(policy, &statement).map(|()| statement),
            None => Ok(statement),
        }
    }

    fn plan(&self, context: &Context, change: Change) -> Result<Plan, Error> {
        let statement = PolicyRecord::StatementV1(self.statement(context)?);
        Ok(Plan {
            changes: vec![change, POLICY.put(&STATEMENT_KEY, &statement)?],
            effects: vec![],
        })
    }
}

/// A data centre, new or changed.
pub(crate) fn plan_site<M: Memory>(
    state: &State<M>,
    context: &Context,
    site: Site,
) -> Result<Plan, Error> {
    text::slug("slug", &site.slug, MAX_SLUG_BYTES)?;
    text::name("city", &site.city, MAX_NAME_BYTES)?;
    text::slug("operator", &site.operator, MAX_SLUG_BYTES)?;
    check_country("country", &site.country)?;
    let mut subnet = Subnet::read(state)?;
    let change = SITE.put(&slug_key(&site.slug), &SiteRecord::V1(site.clone()))?;
    subnet.sites.insert(site.slug.clone(), site);
    check_limit(subnet.sites.len(), MAX_SITES, "sites")?;
    subnet.plan(context, change)
}

/// A data centre that is none of the subnet's any more.
pub(crate) fn plan_remove_site<M: Memory>(
    state: &State<M>,
    context: &Context,
    slug: &str,
) -> Result<Plan, Error> {
    let mut subnet = Subnet::read(state)?;
    if subnet.sites.remove(slug).is_none() {
        return Err(not_found("site", slug));
    }
    if subnet.nodes.values().any(|site| site == slug) {
        return Err(conflict("the site has nodes"));
    }
    subnet.plan(context, SITE.removed(&slug_key(slug)))
}

/// A node, new or moved.
pub(crate) fn plan_node<M: Memory>(
    state: &State<M>,
    context: &Context,
    node: Node,
) -> Result<Plan, Error> {
    if node.node == Principal::anonymous() {
        return Err(invalid("node", "must not be anonymous"));
    }
    let mut subnet = Subnet::read(state)?;
    if !subnet.sites.contains_key(&node.site) {
        return Err(not_found("site", &node.site));
    }
    let change = NODE.put(&principal_key(node.node), &NodeRecord::V1(node.clone()))?;
    subnet.nodes.insert(node.node, node.site);
    check_limit(subnet.nodes.len(), MAX_NODES, "nodes")?;
    subnet.plan(context, change)
}

/// A node that is none of the subnet's any more.
pub(crate) fn plan_remove_node<M: Memory>(
    state: &State<M>,
    context: &Context,
    node: Principal,
) -> Result<Plan, Error> {
    let mut subnet = Subnet::read(state)?;
    if subnet.nodes.remove(&node).is_none() {
        return Err(not_found("node", node));
    }
    subnet.plan(context, NODE.removed(&principal_key(node)))
}

/// Where the subnet has to be from now on: it is there already.
pub(crate) fn plan_policy<M: Memory>(
    state: &State<M>,
    context: &Context,
    policy: ResidencyPolicy,
) -> Result<Plan, Error> {
    if !(1..=MAX_COUNTRIES).contains(&policy.countries.len()) {
        return Err(invalid(
            "countries",
            format!("must be 1 to {MAX_COUNTRIES}"),
        ));
    }
    for country in &policy.countries {
        check_country("countries", country)?;
    }
    if !(1..=100).contains(&policy.max_operator_percent) {
        return Err(invalid("max_operator_percent", "must be 1 to 100"));
    }
    let change = POLICY.put(&RESIDENCY_KEY, &PolicyRecord::ResidencyV1(policy.clone()))?;
    let subnet = Subnet {
        policy: Some(policy),
        ..Subnet::read(state)?
    };
    subnet.plan(context, change)
}

/// Where the subnet is, as of the last change.
///
/// # Errors
/// [`Error::NotFound`] before the first one.
pub fn statement<M: Memory>(state: &State<M>) -> Result<ResidencyStatement, Error> {
    match POLICY.get(&state.kit.certified, &STATEMENT_KEY)? {
        Some(PolicyRecord::StatementV1(statement)) => Ok(statement),
        _ => Err(not_found("residency statement", "")),
    }
}

/// Checks that a subnet is where it has to be.
fn keeps(policy: &ResidencyPolicy, is: &ResidencyStatement) -> Result<(), Error> {
    let broken = |what: String| Err(conflict(format!("the residency policy asks for {what}")));
    if let Some(foreign) = is
        .countries
        .iter()
        .find(|one| !policy.countries.contains(one))
    {
        return broken(format!(
            "nodes in {} only, not in {foreign}",
            policy.countries.join(", ")
        ));
    }
    for (what, is, least) in [
        ("sites", is.sites, policy.min_sites),
        ("operators", is.operators, policy.min_operators),
        ("nodes", is.nodes, policy.min_nodes),
    ] {
        if is < least {
            return broken(format!("at least {least} {what}, there would be {is}"));
        }
    }
    let (largest, nodes) = (u64::from(is.largest_operator_nodes), u64::from(is.nodes));
    if 100 * largest > u64::from(policy.max_operator_percent) * nodes {
        let most = policy.max_operator_percent;
        return broken(format!("at most {most} % of the nodes at one operator"));
    }
    Ok(())
}

fn check_country(field: &str, country: &str) -> Result<(), Error> {
    if country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(invalid(field, "must be two capitals (ISO 3166-1 alpha-2)"))
}

fn check_limit(len: usize, limit: u64, what: &str) -> Result<(), Error> {
    if len as u64 <= limit {
        return Ok(());
    }
    Err(Error::LimitReached {
        limit,
        what: what.into(),
    })
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
