//! `openapi.json` against the types, the routes and the answers.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Value, json};

use super::appliance::{Appliance, event, pin};
use super::client::{act, get, kick, reload};
use super::schema::Schemas;
use crate::config::Reloaded;
use crate::management::history::Graphs;
use crate::management::status::{Kicked, Masked, Status, Unmasked};
use crate::monitor::Dropped;
use crate::monitor::site::Site;
use crate::web::handler::{
    EventList, Health, KickRequest, MaskRequest, ReloadRequest, UnmaskRequest,
};
use crate::web::routes::ROUTES;

/// Set, it has the schemas written anew.
const WRITE: &str = "HAL2TP_WRITE_OPENAPI";

fn document() -> Value {
    serde_json::from_str(include_str!("../openapi.json")).unwrap()
}

/// The schemas of everything that is answered, by the names of its types.
fn schemas() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let add: [fn(&mut SchemaGenerator) -> schemars::Schema; 14] = [
        of::<Status>,
        of::<Site>,
        of::<Dropped>,
        of::<EventList>,
        of::<Graphs>,
        of::<Kicked>,
        of::<KickRequest>,
        of::<Masked>,
        of::<MaskRequest>,
        of::<Unmasked>,
        of::<UnmaskRequest>,
        of::<Reloaded>,
        of::<ReloadRequest>,
        of::<Health>,
    ];
    for add in add {
        add(&mut generator);
    }
    let mut schemas = json!(generator.take_definitions(true));
    without_defaults(&mut schemas);
    schemas["Error"] = json!({
        "type": "object",
        "description": "Why a request was refused.",
        "properties": { "error": { "type": "string", "description": "For people." } },
        "required": ["error"],
    });
    schemas
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<T>()
}

/// Defaults are what this program reads for what is absent, and say nothing to others.
fn without_defaults(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.contains_key("type") || object.contains_key("$ref") {
                object.remove("default");
                object.remove("title");
            }
            object.values_mut().for_each(without_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_defaults),
        _ => {}
    }
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let (mut document, schemas) = (document(), schemas());
    if std::env::var_os(WRITE).is_some() {
        document["components"]["schemas"] = schemas;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/openapi.json");
        let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
        std::fs::write(path, text).unwrap();
        return;
    }
    assert!(
        document["components"]["schemas"] == schemas,
        "openapi.json is of other types; run this test with {WRITE}=1 to write its schemas anew, and look at what changed"
    );
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (path.clone(), method.to_ascii_uppercase()))
        })
        .collect();
    let served: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|route| (route.path.to_owned(), route.method.to_string()))
        .collect();
    assert_eq!(described, served);
}

/// A status with everything there is, or only with what must be.
pub(in crate::web) fn status(whole: bool) -> Status {
    let document = document();
    let schema = &document["components"]["schemas"]["Status"];
    let example = Schemas(&document).example("", schema, whole);
    Schemas(&document).check(schema, &example).unwrap();
    let status: Status = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(
        serde_json::to_value(&status).unwrap(),
        example,
        "something was not read"
    );
    status
}

fn answer_schema<'d>(document: &'d Value, method: &str, path: &str, status: &str) -> &'d Value {
    let responses = &document["paths"][path][method]["responses"];
    let mut response = &responses[status];
    if let Some(place) = response["$ref"].as_str() {
        response = document.pointer(&place[1..]).unwrap();
    }
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "no {status} of {method} {path}");
    schema
}

#[test]
fn every_answer_has_the_form_that_is_described() {
    let document = document();
    let check = |method, path, status: &str, body: &Value| {
        let schema = answer_schema(&document, method, path, status);
        let checked = Schemas(&document).check(schema, body);
        checked.unwrap_or_else(|wrong| panic!("{method} {path} {status}: {wrong}"));
    };
    for whole in [true, false] {
        let mut status = status(whole);
        let appliance = Appliance::start(&status);
        appliance.events.add(event("text"));
        status.uptime_s += 1;
        for session in &mut status.sessions {
            session.lost_packets += 1;
            session.wins += 1;
            session.round_trip.answered += 1;
            session.round_trip.last_us = Some(5);
            session.skew.samples += 1;
            session.skew.live_p99_us = Some(5);
            // With the set that the status has.
            session.set_remote = session.set.as_ref().map(|_| "text".to_owned());
        }
        pin(&appliance.board, &status);
        appliance.keep();
        for route in &ROUTES {
            let is_json = document["paths"][route.path]["get"]["responses"]["200"]["content"]["application/json"].is_object();
            if is_json {
                // A link has the name that all texts have.
                let path = route.path.replace("{file}", "text.json");
                let reply = get(appliance.address, &path);
                assert_eq!(reply.status, 200, "{path}");
                check("get", route.path, "200", &reply.json());
            }
        }
        let wrong = get(appliance.address, "/api/v1/links?skip=x");
        check("get", "/api/v1/links", "400", &wrong.json());
        for (body, status) in [
            (r#"{"name":"head1"}"#, "200"),
            ("{}", "400"),
            (r#"{"name":"x"}"#, "404"),
        ] {
            let reply = kick(appliance.address, body);
            assert_eq!(reply.status.to_string(), status);
            check("post", "/api/v1/kick", status, &reply.json());
        }
        for (body, status) in [
            (r#"{"name":"head1"}"#, "200"),
            (r#"{"name":"head1","for_s":0}"#, "400"),
            (r#"{"name":"x"}"#, "404"),
            (r#"{"name":"head2","for_s":5}"#, "409"),
        ] {
            let reply = act(appliance.address, "/api/v1/mask", body);
            assert_eq!(reply.status.to_string(), status);
            check("post", "/api/v1/mask", status, &reply.json());
        }
        for (body, status) in [(r#"{"name":"head1"}"#, "200"), ("{}", "400")] {
            let reply = act(appliance.address, "/api/v1/unmask", body);
            assert_eq!(reply.status.to_string(), status);
            check("post", "/api/v1/unmask", status, &reply.json());
        }
        for (body, status) in [(r#"{"dry_run":true}"#, "200"), ("5", "400")] {
            let reply = reload(appliance.address, body);
            assert_eq!(reply.status.to_string(), status);
            check("post", "/api/v1/reload", status, &reply.json());
        }
        std::fs::write(&appliance.config_file, "name: [").unwrap();
        let refused = reload(appliance.address, "{}");
        check("post", "/api/v1/reload", "409", &refused.json());
        let metrics = get(appliance.address, "/metrics");
        let described = &document["paths"]["/metrics"]["get"]["responses"]["200"]["content"];
        assert!(
            described[&metrics.headers["content-type"]].is_object(),
            "{metrics:?}"
        );
    }
}
