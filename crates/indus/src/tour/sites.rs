//! Where the subnet is, and where it has to be.

use candid::Principal;
use indus_api::registry::{Action, Node, ResidencyPolicy, Site};
use sha2::{Digest, Sha256};

use super::{Council, Stage, TourError, at, refused, unexpected};
use crate::console::Console;

const ACT: &str = "settling sites";
/// All nodes have to be here.
const COUNTRY: &str = "PK";
const ABROAD: &str = "AE";

/// Records sites and nodes, decides the policy, and proposes what would break it.
pub(crate) async fn settled(
    stage: &Stage<'_>,
    council: &Council,
    console: &mut Console,
) -> Result<(), TourError> {
    let rows = &stage.sites.rows;
    let nodes: u32 = rows.iter().map(|row| row.nodes).sum();
    let first = rows
        .first()
        .ok_or_else(|| unexpected(ACT, "there is no site"))?;
    console.begin("recording sites and nodes", rows.len());
    for row in rows {
        council
            .decided(Action::RecordSite(row.site.clone()))
            .await?;
        for number in 0..row.nodes {
            let site = row.site.slug.clone();
            let node = node(&site, number);
            council
                .decided(Action::RecordNode(Node { node, site }))
                .await?;
        }
        console.step();
    }
    let policy = ResidencyPolicy {
        countries: vec![COUNTRY.into()],
        min_sites: 5,
        min_operators: 5,
        min_nodes: 10,
        max_operator_percent: 34,
    };
    let policy = Action::SetResidencyPolicy(policy);
    council.decided(policy).await?;

    let moved = Site {
        country: ABROAD.into(),
        ..first.site.clone()
    };
    let answer = council.proposed(Action::RecordSite(moved)).await;
    let refusal = refused(ACT, "a site abroad", answer)?;

    let certified = council.governor(1)?.residency().await.map_err(at(ACT))?;
    let statement = certified
        .value
        .ok_or_else(|| unexpected(ACT, "no residency statement is certified"))?;
    if statement.countries != [COUNTRY] || statement.nodes != nodes || statement.policy.is_none() {
        let what = format!("the certified statement is {statement:?}");
        return Err(unexpected(ACT, what));
    }
    console.line(format_args!(
        "sites:         {} sites, {} nodes of {} operators (illustrative: no real assignment is public), certified to be in \
         {COUNTRY} alone",
        rows.len(),
        statement.nodes,
        statement.operators
    ));
    console.line(format_args!(
        "residency:     policy decided by 4 of 5; moving {} to {ABROAD} refused before anybody voted: {refusal}",
        first.site.slug
    ));
    Ok(())
}

/// A name for a node that is nowhere: no real one is public.
fn node(site: &str, number: u32) -> Principal {
    let name = format!("illustrative node {number} of {site}");
    Principal::self_authenticating(Sha256::digest(name))
}
