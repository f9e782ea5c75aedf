//! An object without a schema, for everything that a server can do with references: its calls carry one reference or
//! nothing as their root.

use capnp::any_pointer;
use capnp::capability::{
    Client, DispatchCallResult, FromClientHook, FromServer, Params, Promise, Request, Results, Server,
};
use capnp::private::capability::ClientHook;
use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::ops::Deref;
use std::rc::Rc;

/// Its interface.
pub const KEEPER: u64 = 0xffee_ddcc_bbaa_0001;

pub const PUT: u16 = 0;
pub const CALL_IT: u16 = 1;
pub const GIVE_BACK: u16 = 2;
pub const FORWARD: u16 = 3;
pub const NOOP: u16 = 4;
pub const SAME: u16 = 5;
pub const HANG: u16 = 6;
pub const SAME_LATER: u16 = 7;
pub const GIVE_BACK_LATER: u16 = 8;
pub const ANOTHER: u16 = 9;
pub const FAIL: u16 = 10;
pub const PANIC: u16 = 11;
pub const BYTES: u16 = 12;
pub const ACT: u16 = 13;

#[derive(Default)]
pub struct Keeper {
    pub held: RefCell<Option<Client>>,
    /// Where FORWARD goes.
    pub other: RefCell<Option<Client>>,
    /// Handlers whose first line ran.
    pub started: Cell<usize>,
    /// Handlers that are gone, finished or not.
    pub gone: Cell<usize>,
    /// Calls of HANG, SAME_LATER and GIVE_BACK_LATER that wait.
    pub waiting: RefCell<Vec<oneshot::Sender<()>>>,
    /// The order in which calls started.
    pub order: RefCell<Vec<u16>>,
    /// What ACT does.
    pub act: RefCell<Option<Box<dyn Fn()>>>,
    /// Makes ANOTHER's objects.
    pub exports: RefCell<Option<vat::Exports>>,
}

/// Counts a handler that is gone.
struct Gone(Rc<Keeper>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.gone.set(self.0.gone.get() + 1);
    }
}

impl Keeper {
    /// Lets everything that waits go on.
    pub fn go_on(&self) {
        for sender in self.waiting.take() {
            let _ = sender.send(());
        }
    }

    fn wait(&self) -> impl Future<Output = ()> + 'static {
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().push(sender);
        async move {
            let _ = receiver.await;
        }
    }

    fn kept(&self) -> capnp::Result<Client> {
        self.held.borrow().clone().ok_or_else(|| capnp::Error::failed("nothing was put".into()))
    }

    async fn handle(
        self: Rc<Self>,
        method: u16,
        params: Params<any_pointer::Owned>,
        mut results: Results<any_pointer::Owned>,
    ) -> Result<(), capnp::Error> {
        self.started.set(self.started.get() + 1);
        self.order.borrow_mut().push(method);
        let _gone = Gone(self.clone());
        let given = || params.get()?.get_as_capability::<Client>();
        match method {
            PUT => *self.held.borrow_mut() = Some(given()?),
            CALL_IT => {
                let request: Request<any_pointer::Owned, any_pointer::Owned> =
                    self.kept()?.new_call(KEEPER, NOOP, None);
                drop(request.send());
            }
            GIVE_BACK => results.get().set_as_capability(self.kept()?.hook),
            FORWARD => {
                let other = self.other.borrow().clone();
                let other = other.ok_or_else(|| capnp::Error::failed("there is no other".into()))?;
                let mut request: Request<any_pointer::Owned, any_pointer::Owned> = other.new_call(KEEPER, PUT, None);
                request.get().set_as_capability(self.kept()?.hook);
                request.send().promise.await?;
            }
            NOOP => {}
            SAME => results.get().set_as_capability(given()?.hook),
            HANG => self.wait().await,
            SAME_LATER => {
                let given = given()?;
                self.wait().await;
                results.get().set_as_capability(given.hook);
            }
            GIVE_BACK_LATER => {
                self.wait().await;
                results.get().set_as_capability(self.kept()?.hook);
            }
            ANOTHER => {
                let exports = self.exports.borrow().clone().expect("it knows its link");
                let another = Keeper { exports: RefCell::new(Some(exports.clone())), ..Keeper::default() };
                results.get().set_as_capability(exports.export::<KeeperClient, _>(another).0.hook);
            }
            ACT => self.act.borrow().as_ref().expect("there is an act")(),
            FAIL => return Err(capnp::Error::failed("as told".into())),
            PANIC => panic!("as told"),
            BYTES => results.get().set_as::<capnp::data::Owned>(&vec![7u8; 1 << 20][..])?,
            _ => return Err(capnp::Error::unimplemented("no such method".into())),
        }
        Ok(())
    }
}

#[derive(Clone)]
pub struct KeeperClient(pub Client);

impl FromClientHook for KeeperClient {
    fn new(hook: Box<dyn ClientHook>) -> Self {
        KeeperClient(Client::new(hook))
    }

    fn into_client_hook(self) -> Box<dyn ClientHook> {
        self.0.hook
    }

    fn as_client_hook(&self) -> &dyn ClientHook {
        self.0.hook.as_ref()
    }
}

#[derive(Clone)]
pub struct Dispatch(Rc<Keeper>);

impl Deref for Dispatch {
    type Target = Keeper;

    fn deref(&self) -> &Keeper {
        &self.0
    }
}

impl FromServer<Keeper> for KeeperClient {
    type Dispatch = Dispatch;

    fn from_server(keeper: Rc<Keeper>) -> Dispatch {
        Dispatch(keeper)
    }
}

impl Server for Dispatch {
    fn dispatch_call(
        self,
        interface: u64,
        method: u16,
        params: Params<any_pointer::Owned>,
        results: Results<any_pointer::Owned>,
    ) -> DispatchCallResult {
        let promise = if interface == KEEPER {
            Promise::from_future(self.0.handle(method, params, results))
        } else {
            Promise::err(capnp::Error::unimplemented("no such interface".into()))
        };
        DispatchCallResult::new(promise, false)
    }

    fn as_ptr(&self) -> usize {
        Rc::as_ptr(&self.0) as usize
    }
}

/// An answer, with what can be called before it is there.
pub struct Called {
    pub promise: Promise<capnp::capability::Response<any_pointer::Owned>, capnp::Error>,
    pub pipeline: any_pointer::Pipeline,
}

impl KeeperClient {
    /// Calls a method, with a reference or with nothing.
    pub fn call(&self, method: u16, given: Option<&Client>) -> Called {
        let mut request: Request<any_pointer::Owned, any_pointer::Owned> = self.0.new_call(KEEPER, method, None);
        if let Some(given) = given {
            request.get().set_as_capability(given.hook.add_ref());
        }
        let sent = request.send();
        Called { promise: sent.promise, pipeline: sent.pipeline }
    }
}

impl Called {
    /// The object that the call will return.
    pub fn object(&self) -> KeeperClient {
        KeeperClient::new(self.pipeline.as_cap())
    }
}
