//! The root that programs see: the layer over the image, what the kernel provides, and nothing of the host.

mod device;
mod kernel;

use std::{fs, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{Mode, OFlags},
    mount::{UnmountFlags, unmount},
    process::{chdir, pivot_root},
};

use crate::{
    LaunchError, Step,
    error::At as _,
    file_systems::{AGENT, OWN, SOCKETS, UPPER, WORK},
    mounts::{HARMLESS, INERT, Mount},
};

/// Where the root is put together. Each host has this folder, and nobody else sees what is mounted there.
const PLACE: &str = "/dev";

/// What the root is made of.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) image: Mount,
    pub(crate) layer: Mount,
    pub(crate) agent: Mount,
    pub(crate) sockets: Option<Mount>,
}

impl Root {
    /// Puts it together and makes it the root of this mount namespace.
    pub(crate) fn enter(self, shm_bytes: u64) -> Result<(), LaunchError> {
        // Before the place is covered: they are the host's.
        let devices = device::of_the_host()?;
        let place = Path::new(PLACE);
        Mount::new(Step::Tree, "tmpfs", &[("size", Some("64k")), ("mode", Some("0700"))], INERT)?
            .attach(Step::Tree, place)?;
        let [image, layer, root, nothing] = ["image", "layer", "root", "nothing"].map(|name| place.join(name));
        for folder in [&image, &layer, &root] {
            fs::create_dir(folder).at(Step::Tree, "make a mount point")?;
        }
        let nothing_mode = Mode::RUSR | Mode::RGRP | Mode::ROTH;
        rustix::fs::open(&nothing, OFlags::CREATE | OFlags::CLOEXEC, nothing_mode)
            .at(Step::Tree, "make an empty file")?;
        self.image.attach(Step::Overlay, &image)?;
        self.layer.attach(Step::Overlay, &layer)?;
        lay_over(&image, &layer)?.attach(Step::Overlay, &root)?;
        kernel::provide(&root, &nothing)?;
        device::provide(&root, devices, shm_bytes)?;
        self.agent.attach(Step::Tree, &root.join(OWN).join(AGENT))?;
        if let Some(sockets) = self.sockets {
            sockets.attach(Step::Tree, &root.join(OWN).join(SOCKETS))?;
        }
        leave_the_host(&root).at(Step::Tree, "leave the host's root")
    }
}

/// With the rights of root inside, not of the host's. Nothing is kept after the sandbox, so nothing has to be synced.
fn lay_over(image: &Path, layer: &Path) -> Result<Mount, LaunchError> {
    let [lower, upper, work] = [image.to_owned(), layer.join(UPPER), layer.join(WORK)];
    let [lower, upper, work] = [&lower, &upper, &work].map(|path| path.to_str());
    let options =
        [("lowerdir", lower), ("upperdir", upper), ("workdir", work), ("userxattr", None), ("volatile", None)];
    Mount::new(Step::Overlay, "overlay", &options, HARMLESS)
}

fn leave_the_host(root: &Path) -> Result<(), rustix::io::Errno> {
    chdir(root)?;
    // The old root ends up on top of the new one, and is taken away from there.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}

/// The sandbox's own null device.
pub(crate) fn null() -> Result<OwnedFd, LaunchError> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).at(Step::Tree, "open /dev/null")
}
