//! What is certain about where the subnet is.

use crate::setting::{Setting, conflict, invalid_field, not_found, person};
use indus_api::registry::{Action, Node, ResidencyPolicy, Site};
use registry::residency;

fn site(slug: &str, country: &str, operator: &str) -> Action {
    Action::RecordSite(Site {
        slug: slug.into(),
        city: "City".into(),
        country: country.into(),
        operator: operator.into(),
    })
}

fn node(n: u8, site: &str) -> Action {
    Action::RecordNode(Node {
        node: person(100 + n),
        site: site.into(),
    })
}

fn policy() -> ResidencyPolicy {
    ResidencyPolicy {
        countries: vec!["PK".into()],
        min_sites: 2,
        min_operators: 2,
        min_nodes: 3,
        max_operator_percent: 67,
    }
}

/// Three nodes at two sites of two operators, and the policy.
fn subnet() -> Setting {
    let mut s = Setting::new();
    s.decided(site("isb-1", "PK", "ntc"));
    s.decided(site("lhe-1", "PK", "pitb"));
    for (n, at) in [(1, "isb-1"), (2, "isb-1"), (3, "lhe-1")] {
        s.decided(node(n, at));
    }
    let id = s
        .propose(5, Action::SetResidencyPolicy(policy()))
        .unwrap()
        .id;
    s.carried(id);
    s
}

#[test]
fn the_statement_says_where_the_subnet_is() {
    let s = subnet();
    let statement = residency::statement(&s.state).unwrap();
    assert_eq!(statement.policy, Some(policy()));
    assert_eq!(statement.countries, ["PK"]);
    assert_eq!(
        (
            statement.sites,
            statement.operators,
            statement.nodes,
            statement.largest_operator_nodes
        ),
        (2, 2, 3, 2)
    );
    assert_eq!(statement.as_of_ns, s.time_ns);
    s.assert_explained();
}

#[test]
fn what_would_break_the_policy_is_refused_before_anybody_votes() {
    let mut s = subnet();
    s.decided(site("dxb-1", "AE", "ntc"));
    for (action, reason) in [
        (node(4, "dxb-1"), "nodes in PK only, not in AE"),
        (node(1, "dxb-1"), "nodes in PK only, not in AE"),
        (site("isb-1", "AE", "ntc"), "nodes in PK only, not in AE"),
        (
            Action::RemoveNode { node: person(101) },
            "at least 3 nodes, there would be 2",
        ),
        (node(3, "isb-1"), "at least 2 sites, there would be 1"),
        (
            site("lhe-1", "PK", "ntc"),
            "at least 2 operators, there would be 1",
        ),
        (
            node(4, "isb-1"),
            "at most 67 % of the nodes at one operator",
        ),
        (
            Action::SetResidencyPolicy(ResidencyPolicy {
                min_nodes: 4,
                ..policy()
            }),
            "at least 4 nodes, there would be 3",
        ),
    ] {
        let error = s.refused(|s| s.propose(1, action));
        let expected = format!("the residency policy asks for {reason}");
        assert_eq!(conflict(error), expected);
    }
    s.decided(node(4, "lhe-1"));
    s.decided(Action::RemoveNode { node: person(101) });
}

#[test]
fn what_has_come_to_break_the_policy_since_is_not_carried_out() {
    let mut s = subnet();
    s.decided(node(4, "lhe-1"));
    let [first, second] = [102, 103].map(|n| {
        let action = Action::RemoveNode { node: person(n) };
        s.propose(5, action).unwrap().id
    });
    s.carried(first);
    let failed = s.carried(second);
    let state = format!("{:?}", failed.state);
    assert!(
        state.contains("at least 3 nodes, there would be 2"),
        "{state}"
    );
    assert_eq!(residency::statement(&s.state).unwrap().nodes, 3);
    s.assert_explained();
}

#[test]
fn sites_and_nodes_are_named_and_there() {
    let mut s = subnet();
    for (field, action) in [
        ("slug", site("A", "PK", "ntc")),
        ("country", site("khi-1", "pk", "ntc")),
        ("country", site("khi-1", "PAK", "ntc")),
        ("operator", site("khi-1", "PK", "")),
        (
            "countries",
            Action::SetResidencyPolicy(ResidencyPolicy {
                countries: vec![],
                ..policy()
            }),
        ),
        (
            "max_operator_percent",
            Action::SetResidencyPolicy(ResidencyPolicy {
                max_operator_percent: 101,
                ..policy()
            }),
        ),
    ] {
        let error = s.refused(|s| s.propose(1, action));
        assert_eq!(invalid_field::<()>(Err(error)), field);
    }
    let error = s.refused(|s| s.propose(1, node(9, "khi-1")));
    assert_eq!(error, not_found("site", "khi-1"));
    let error = s.refused(|s| s.propose(1, Action::RemoveNode { node: person(9) }));
    assert_eq!(error, not_found("node", person(9)));
    let remove = |slug: &str| Action::RemoveSite { slug: slug.into() };
    let error = s.refused(|s| s.propose(1, remove("khi-1")));
    assert_eq!(error, not_found("site", "khi-1"));
    let error = s.refused(|s| s.propose(1, remove("lhe-1")));
    assert_eq!(conflict(error), "the site has nodes");
    s.decided(site("khi-1", "PK", "ptcl"));
    s.decided(remove("khi-1"));
}
