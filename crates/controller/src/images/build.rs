//! Builds: a sandbox of the base image, steps in it, and an image of what it has become.
//!
//! ```text
//! context, Containerfile -> plan (all that can be wrong is refused here)
//!                        -> sandbox -> steps, one after the other -> all that it sees as its root -> image
//! ```
//!
//! Steps are what any caller can do: executions, and archives that are unpacked inside. So nothing here needs to trust the
//! file, the context or what a program makes of either. The sandbox is the tenant's own, seen in lists and counted as any
//! other; it ends with the build, however that ends, and with the server that began it.

mod steps;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_auth::{CreateSandbox, Execute, ImportImage, Permit};
use sentinal_containerfile::{Action, Config, Containerfile, Plan, Refused};
use sentinal_model::{Code, Error, ImageName, Result, Spec, limits};
use sentinal_node_protocol::{ImageConfig, ImageDetails};

use super::{BuildContext, ImageJob, ImageJobKind, check_name, jobs};
use crate::api::Controller;

/// What is to be built, and in what.
#[derive(Debug)]
pub struct NewBuild {
    /// What the image is to be called. A name that is taken moves to it.
    pub name: ImageName,
    /// The Containerfile, a path in the context.
    pub file: String,
    /// What is given for its ARGs.
    pub args: BTreeMap<String, String>,
    /// The sandbox; its image is the file's to name, and its end is the build's.
    pub spec: Spec,
}

/// A build that can begin.
struct Build {
    context: Box<dyn BuildContext>,
    file: String,
    base: ImageDetails,
    plan: Plan,
    spec: Spec,
}

impl Controller {
    /// Begins to build an image; [`Controller::image_job`] tells how far it is. What can be known to be wrong with the
    /// Containerfile is refused before.
    pub async fn build_image(
        &self,
        permit: &Permit<ImportImage>,
        _inside: (&Permit<CreateSandbox>, &Permit<Execute>),
        new: NewBuild,
        context: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageJob> {
        let NewBuild { name, file, args, spec } = new;
        check_name(&name)?;
        let context = self.context.parts.images.context(context).await?;
        let text = context.text(&file).await?;
        let parsed = Containerfile::parse(&file, &text, &args).map_err(refused)?;
        let base = self.base(&parsed).await?;
        let plan = parsed.plan(&planned(&base.config)).map_err(refused)?;
        check_sources(&parsed, &plan, context.as_ref())?;
        let spec = Spec { image: base.name.clone(), ttl: limits::IMAGE_BUILD_DEADLINE, idle_timeout: None, ..spec };
        let build = Build { context, file, base, plan, spec };
        let kind = ImageJobKind::Build { sandbox: None };
        let new = jobs::NewJob { by: permit.caller().clone(), name, kind, deadline: limits::IMAGE_BUILD_DEADLINE };
        jobs::start(&self.context, new, |working| steps::build(working, build)).await
    }

    async fn base(&self, file: &Containerfile) -> Result<ImageDetails> {
        let found = match file.base().parse::<ImageName>() {
            Ok(name) => self.context.node().inspect_image(&name).await,
            Err(error) => Err(error),
        };
        found.map_err(|error| {
            let is_unknown = matches!(error.code(), Code::NotFound | Code::InvalidRequest);
            let unknown = || refused(file.no_base("is no image of this server; pull or import it first"));
            if is_unknown { unknown() } else { error }
        })
    }
}

/// What is missing is told before a sandbox is made for it.
fn check_sources(file: &Containerfile, plan: &Plan, context: &dyn BuildContext) -> Result<()> {
    for step in &plan.steps {
        if let Action::Copy { sources, .. } = &step.action {
            let found = context.is_one_file(sources);
            found.map_err(|error| refused(file.no_step(step, error.message())))?;
        }
    }
    Ok(())
}

fn refused(refused: Refused) -> Error {
    Error::invalid(refused.to_string())
}

fn planned(base: &ImageConfig) -> Config {
    let ImageConfig { env, working_dir, user, runs_as_user, entrypoint, cmd } = base.clone();
    // Whom a base names that it does not know itself is nobody.
    let user = if runs_as_user { user } else { String::new() };
    Config { env, working_dir, user, entrypoint, cmd }
}

/// As who makes the image is told. Whether there is such a user is found out there.
fn made(config: Config) -> ImageConfig {
    let Config { env, working_dir, user, entrypoint, cmd } = config;
    ImageConfig { env, working_dir, user, runs_as_user: false, entrypoint, cmd }
}
