//! The Helm engine: charts, values, rendering, release records.

mod capabilities;
pub mod chart;
pub mod commands;
mod dependencies;
pub mod disk;
mod files;
mod funcs;
mod manifest;
mod package;
pub mod release;
mod render;
pub mod schema;
mod session;
mod stack;
mod trace;
pub mod values;

pub use capabilities::{Capabilities, HELM_VERSION, KubeVersion, KubeVersionError};
pub use dependencies::process_dependencies;
pub use manifest::*;
pub use render::{Action, ReleaseInfo, RenderError, RenderOptions, Rendered, Schemas, render};
pub use session::{Deadline, Entropy, Lookup, Mode, NoCluster, Resolver, World};
