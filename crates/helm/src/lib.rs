//! The Helm engine: charts, values, rendering, release records.

mod capabilities;
pub mod chart;
mod dependencies;
pub mod disk;
mod files;
mod funcs;
pub mod index;
pub mod jsonpath;
pub mod lint;
mod log;
mod manifest;
mod ordered;
pub mod package;
pub mod provenance;
pub mod release;
mod render;
pub mod schema;
mod session;
pub mod show;
mod stack;
pub mod template;
mod trace;
pub mod values;

pub use capabilities::{Capabilities, HELM_VERSION, KubeVersion, KubeVersionError};
pub use dependencies::process_dependencies;
pub use manifest::*;
pub use render::{Action, ReleaseInfo, RenderError, RenderOptions, Rendered, Schemas, render};
pub use sluice_gotemplate::Limits;
pub use stack::on_deep_stack;

pub use session::{Deadline, Entropy, Lookup, Mode, NoCluster, Resolver, World};
