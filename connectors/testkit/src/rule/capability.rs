//! What a connector does not declare is refused.

use std::sync::Arc;

use arrow::datatypes::Schema;
use huiliu_sdk::{
    Error, ErrorKind, LoadMode, LoadRequest, ReadMode, ReadRequest, Result, StreamId,
    StreamRequest, WriteRequest,
};

use super::modes;
use crate::{System, cx, hazard, open};

/// An undeclared capability is refused as unsupported, and the error names it. A declared one
/// names the stream or push that nobody configured.
pub async fn what_is_not_declared_is_refused_by_name<S: System>() {
    let system = S::fresh().await;
    let declared = system.connector().spec().capabilities;
    let endpoint = open(&system, system.config());
    let cx = cx();
    let id = || StreamId::new("nobody");
    let streams = vec![StreamRequest { stream: id(), resume: None }];
    let source = endpoint.source(&cx, ReadRequest { streams, row_limit: None }).await;
    let sink = endpoint.sink(&cx, WriteRequest { push: id() }).await;
    let schema = Arc::new(Schema::empty());
    let request = LoadRequest { push: id(), schema, mode: LoadMode::Append };
    let loader = endpoint.loader(&cx, request).await;
    refused("source", "reading", declared.source, source);
    refused("sink", "writing", declared.sink, sink);
    refused("loader", "whole tables", declared.loader, loader);
    if !declared.discover {
        let listed = endpoint.discover(&cx).await;
        refused("discover", "listing", false, listed);
    }
    system.end().await;
}

fn refused<T>(what: &str, name: &str, is_declared: bool, answer: Result<T>) {
    let Err(error) = answer else { panic!("{what}: what nobody configured is there") };
    let told: fn(&Error) -> bool = match is_declared {
        true => |error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Config),
        false => |error| error.kind() == ErrorKind::Unsupported,
    };
    assert!(told(&error), "{what}: {:?} {error}", error.kind());
    let name = if is_declared { "nobody" } else { name };
    assert!(error.message().contains(name), "{what} does not say what is missing: {error}");
}

/// `configure` refuses a stream that is to be read in a way that is not declared, at its `read`,
/// and takes the declared ones.
pub async fn a_way_of_reading_that_is_not_declared_is_refused_by_configure<S: System>() {
    let system = S::fresh().await;
    let connector = system.connector();
    let spec = connector.spec();
    if !spec.capabilities.source {
        return super::does_not_apply(system, "source").await;
    }
    let declared = modes(spec.capabilities);
    let table = hazard::cases(0, 1);
    for mode in [ReadMode::Full, ReadMode::Incremental, ReadMode::Flagged, ReadMode::Changes] {
        let mut raw = system.config();
        let is_declared = declared.contains(&mode);
        let mut stream = system.stream(&table, if is_declared { mode } else { ReadMode::Full });
        stream.settings.read = mode;
        stream.settings.cursor = table.cursor.clone();
        raw.streams.push(stream);
        match connector.configure(raw) {
            Ok(_) => assert!(is_declared, "{mode:?} is not declared and taken"),
            Err(faults) => {
                assert!(!is_declared, "{mode:?} is declared and refused: {:?}", faults.0);
                let told = faults.0.iter().any(|fault| fault.path == "streams[0].read");
                assert!(told, "{mode:?} is refused at another place: {:?}", faults.0);
            }
        }
    }
    system.end().await;
}
