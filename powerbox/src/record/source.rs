//! Who holds granted objects, and where these come from.

/// Who holds a grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// An app's instance, running or not.
    Instance(String),
    /// A shell, while it lives.
    Shell {
        /// The kernel's number for it.
        process: u64,
        /// Of the person.
        uid: u32,
    },
    /// A part of the node itself.
    Service(String),
}

impl Holder {
    /// Whether it is a part of the node.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self, Holder::Service(_))
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Holder::Instance(name) | Holder::Service(name) => formatter.write_str(name),
            Holder::Shell { uid, .. } => write!(formatter, "shell (uid {uid})"),
        }
    }
}

/// A folder of this host: by identity, not only by name, so that another one at the same path does not pass for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder {
    /// Where the person's shell found it, absolute.
    pub path: String,
    /// `f_fsid`.
    pub file_system: u64,
    /// Of `name_to_handle_at`; empty where the file system has none.
    pub handle: Vec<u8>,
    /// Where there is no handle.
    pub inode: u64,
    /// Uid of the person who offered it.
    pub run_as: u32,
}

/// A service of which a node has one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The node's keys.
    Keys,
    /// The store.
    Storage,
}

impl Service {
    /// Every one, each after those that it needs itself.
    pub const ALL: [Service; 2] = [Service::Keys, Service::Storage];

    /// Its name, which its offers begin with and no app may have.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Service::Keys => "keys",
            Service::Storage => "storage",
        }
    }

    /// The service of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }
}

/// An object of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Who serves it.
    pub service: Service,
    /// What the service calls it.
    pub name: String,
}

/// Where a granted object comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of this host.
    Folder(Folder),
    /// An object of one of the node's services.
    Object(Object),
}

impl Source {
    /// What its service calls it; empty where that has one object.
    #[must_use]
    pub fn object(&self) -> &str {
        match self {
            Source::Folder(_) => "",
            Source::Object(object) => &object.name,
        }
    }

    /// Whether it is that folder.
    #[must_use]
    pub fn is_folder(&self, folder: &Folder) -> bool {
        matches!(self, Source::Folder(source) if source == folder)
    }

    /// Whether that service serves it.
    #[must_use]
    pub fn is_of(&self, service: Service) -> bool {
        matches!(self, Source::Object(object) if object.service == service)
    }
}
