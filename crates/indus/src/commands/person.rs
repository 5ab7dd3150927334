//! `indus person`: who one is: a person with one key or more, and how they come back without them.

mod recovery;

use candid::Principal;
use clap::{Args, Subcommand};
use indus_api::identity::{
    METHODS, Method, MethodKind, MethodRecord, NewMethod, OfferArgs, PERSONS, Pairing, Person,
    PersonRecord, PersonView, RegisterArgs, path, person_key,
};
use serde_json::Value;

use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::commands::signing::{Consent, Signing};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

/// The canister that knows persons.
pub(super) const IDENTITY: &str = "identity";

/// Persons: register, add and remove keys, choose an office, recover somebody.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    consent: Consent,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Becomes a person, of whom the key is the first method; or shows the person that it speaks for.
    Register,
    /// Shows oneself: person and methods certified, the pairing and the recovery that are open.
    Show,
    /// Opens a pairing of 15 minutes, and prints the code that the new device has to know.
    Pair,
    /// On the new device: offers its key as a method of the person whose code it was told.
    Offer {
        /// The person's id.
        #[arg(long, value_name = "ID")]
        person: Principal,
        /// The code that `pair` printed.
        #[arg(long)]
        code: String,
    },
    /// Makes the key that the new device offered one of one's methods.
    Confirm {
        /// Its principal, as the new device shows it.
        #[arg(value_name = "PRINCIPAL")]
        method: Principal,
    },
    /// Removes one of one's methods, never the last one.
    Remove {
        /// Its principal.
        #[arg(value_name = "PRINCIPAL")]
        method: Principal,
    },
    /// Chooses the organisation that one acts for with this key.
    Office {
        /// Its id; without it, the only one that one may act for.
        #[arg(value_name = "ORGANISATION")]
        organisation: Option<u64>,
    },
    /// How somebody who has lost their keys comes back: two officials, a delay, and the person's veto.
    #[command(subcommand)]
    Recovery(recovery::Verb),
}

/// Does it.
pub(crate) async fn person(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command {
        network,
        consent,
        verb,
    } = command;
    let json = network.json;
    let signing = || Signing::new(&network, &consent, IDENTITY);
    match verb {
        Verb::Register => {
            let args = RegisterArgs {
                kind: MethodKind::Ed25519,
                alias_commitment: None,
            };
            let sentence = "Register a person, of whom this key is the first method";
            let person: Person = signing()?
                .call("register_person", &args, sentence, vec![], console)
                .await?;
            sheet::show(person_fields(&person), json, console);
        }
        Verb::Show => show(&network, console).await?,
        Verb::Pair => {
            let sentence = "Open a pairing: who learns the code may offer a key as yours";
            let pairing: Pairing = signing()?
                .call("open_pairing", &(), sentence, vec![], console)
                .await?;
            sheet::show(pairing_fields(&pairing), json, console);
        }
        Verb::Offer { person, code } => {
            let args = OfferArgs {
                person,
                code: code.to_uppercase(),
                kind: MethodKind::Ed25519,
                alias_commitment: None,
            };
            let about = vec![("person", person.to_text().into())];
            let sentence = "Offer this key as a method of a person, who has to confirm it";
            let signing = signing()?;
            let () = signing
                .call("offer_method", &args, sentence, about, console)
                .await?;
            let key = signing.canister.connection().caller();
            let shown = vec![
                ("offered", key.to_text().into()),
                ("to_be_confirmed_by", person.to_text().into()),
            ];
            sheet::show(shown, json, console);
        }
        Verb::Confirm { method: key } => {
            let about = vec![("key", key.to_text().into())];
            let sentence = "Let this key speak for you: compare it with what the new device shows";
            let method: Method = signing()?
                .call("confirm_method", &key, sentence, about, console)
                .await?;
            sheet::show(method_fields(&method), json, console);
        }
        Verb::Remove { method: key } => {
            let about = vec![("key", key.to_text().into())];
            let sentence = "Remove a key: it no longer speaks for you";
            let () = signing()?
                .call("remove_method", &key, sentence, about, console)
                .await?;
            sheet::show(vec![("removed", key.to_text().into())], json, console);
        }
        Verb::Office { organisation } => {
            let about = vec![("organisation", organisation.into())];
            let sentence = "Act for this organisation with this key";
            let method: Method = signing()?
                .call("choose_office", &organisation, sentence, about, console)
                .await?;
            sheet::show(method_fields(&method), json, console);
        }
        Verb::Recovery(verb) => recovery::recovery(verb, &network, &consent, console).await?,
    }
    Ok(())
}

async fn show(network: &Network, console: &mut Console) -> Result<(), Failure> {
    let identity = network.signing_to(IDENTITY)?;
    // What one node says tells where the records are. What is shown of them is certified.
    let hint: PersonView = identity
        .query_as_subject_unverified("my_person", &())
        .await
        .map_err(Failure::failed)?;
    let mut paths = vec![path(PERSONS, &person_key(hint.person.id))];
    paths.extend(hint.methods.iter().map(|listed| path(METHODS, &listed.key)));
    let answer = identity.proof(&paths).await.map_err(Failure::failed)?;
    let (certificate, witness) = identity
        .connection()
        .verify(identity.canister(), "certified_read", &answer)
        .map_err(Failure::failed)?;
    let PersonRecord::V1(person) = witness.value(&paths[0]).map_err(Failure::failed)?;
    let mut methods = Vec::new();
    for path in &paths[1..] {
        let MethodRecord::V1(method) = witness.value(path).map_err(Failure::failed)?;
        if method.person != person.id {
            return Err(Failure::Failed("a certified method is another's".into()));
        }
        methods.push(sheet::document(method_fields(&method)));
    }
    let mut shown = person_fields(&person);
    let document = |fields: Fields| sheet::document(fields);
    shown.extend([
        ("methods", Value::Array(methods)),
        ("certified_at", when::utc(certificate.time()).into()),
        (
            "open_pairing",
            hint.pairing
                .as_ref()
                .map(|pairing| document(pairing_fields(pairing)))
                .into(),
        ),
        (
            "open_recovery",
            hint.recovery
                .as_ref()
                .map(|found| document(recovery::fields(found)))
                .into(),
        ),
    ]);
    sheet::show(shown, network.json, console);
    Ok(())
}

fn person_fields(person: &Person) -> Fields {
    vec![
        ("person", person.id.to_text().into()),
        ("registered_at", sheet::time(person.registered_at_ns)),
    ]
}

fn method_fields(method: &Method) -> Fields {
    vec![
        ("key", method.key.principal.to_text().into()),
        ("kind", format!("{:?}", method.key.kind).into()),
        ("person", method.person.to_text().into()),
        ("office", method.office.into()),
        ("added_at", sheet::time(method.added_at_ns)),
    ]
}

fn pairing_fields(pairing: &Pairing) -> Fields {
    let offered = |offer: &NewMethod| offer.principal.to_text();
    vec![
        ("code", pairing.code.clone().into()),
        ("until", sheet::time(pairing.ends_at_ns)),
        ("tries_left", pairing.tries_left.into()),
        ("offered", pairing.offer.as_ref().map(offered).into()),
    ]
}
