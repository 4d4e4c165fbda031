//! Writes of the built-in controllers, with the names that the real ones have.

use std::sync::Arc;

use serde_json::Value;

use crate::app::App;
use crate::auth::User;
use crate::objects::schema::Input;
use crate::objects::{self, DryRun, FieldValidation, Patch, Write};
use crate::registry::{Index, Resource};
use crate::status::{Result, Status};
use crate::store::Object;
use crate::verbs::delete::{self, DeleteOptions, Deleted};

/// A built-in controller as a client.
pub struct Actor<'a> {
    app: &'a App,
    index: Arc<Index>,
    user: User,
    manager: &'static str,
}

impl<'a> Actor<'a> {
    /// A controller that writes with this field manager.
    pub fn new(app: &'a App, manager: &'static str) -> Self {
        let user = User {
            groups: vec![crate::auth::MASTERS.into()],
            ..User::service_account("kube-system", manager, "")
        };
        Actor {
            app,
            index: app.registry.index(),
            user,
            manager,
        }
    }

    /// The resource that holds the objects of a table.
    ///
    /// # Errors
    /// 404 where it is not served.
    pub fn resource(&self, table: &str) -> Result<&Arc<Resource>> {
        self.index
            .find_table(table)
            .ok_or_else(Status::unknown_resource)
    }

    fn write<'b>(
        &'b self,
        resource: &'b Resource,
        namespace: Option<&'b str>,
        name: &'b str,
        sub: &'b str,
    ) -> Write<'b> {
        Write {
            app: self.app,
            resource,
            namespace,
            name,
            subresource: sub,
            manager: self.manager,
            user: &self.user,
            dry_run: DryRun::No,
            validation: FieldValidation::Ignore,
            warnings: Vec::new(),
        }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As a client would get.
    pub fn create(
        &self,
        table: &str,
        namespace: Option<&str>,
        value: Value,
    ) -> Result<Arc<Object>> {
        let resource = self.resource(table)?;
        objects::create(
            &mut self.write(resource, namespace, "", ""),
            Input::Value(value),
        )
    }

    /// Changes an object or a subresource of it.
    ///
    /// # Errors
    /// As a client would get.
    pub fn update(
        &self,
        table: &str,
        namespace: Option<&str>,
        name: &str,
        subresource: &str,
        change: &(dyn Fn(&mut Value) -> Result<()> + Sync),
    ) -> Result<Arc<Object>> {
        let resource = self.resource(table)?;
        objects::update(
            &mut self.write(resource, namespace, name, subresource),
            &Patch::With(change),
        )
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// As a client would get, but not 404.
    pub fn delete(
        &self,
        resource: &Resource,
        object: &Object,
        options: &DeleteOptions,
    ) -> Result<Option<Deleted>> {
        let mut write = self.write(resource, object.namespace(), object.name(), "");
        match delete::delete(&mut write, options) {
            Err(status) if status.code == 404 => Ok(None),
            other => other.map(Some),
        }
    }
}
