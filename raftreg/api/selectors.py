"""What filter expressions can select, per kind of row."""

from raftreg.api.filter import BOOL, INT, STRING, Kind, ListOf, MapOf, Struct

_STRINGS = ListOf(STRING)
_TEXT_MAP = MapOf(STRING)
_WEIGHTS = Struct({"Passing": INT, "Warning": INT})
_ADDRESSES = MapOf(Struct({"Address": STRING, "Port": INT}))
_GATEWAY = Struct({"Mode": STRING})
_CONNECT = Struct({"Native": BOOL})
_EXPOSED_PATH = Struct(
    {"ListenerPort": INT, "Path": STRING, "LocalPathPort": INT, "Protocol": STRING, "ParsedFromCheck": BOOL}
)
_UPSTREAM = Struct(
    {
        "DestinationType": STRING,
        "DestinationNamespace": STRING,
        "DestinationName": STRING,
        "Datacenter": STRING,
        "LocalBindAddress": STRING,
        "LocalBindPort": INT,
        "MeshGateway": _GATEWAY,
    }
)
_PROXY = Struct(
    {
        "DestinationServiceName": STRING,
        "DestinationServiceID": STRING,
        "LocalServiceAddress": STRING,
        "LocalServicePort": INT,
        "Upstreams": ListOf(_UPSTREAM),
        "MeshGateway": _GATEWAY,
        "Expose": Struct({"Checks": BOOL, "Paths": ListOf(_EXPOSED_PATH)}),
    }
)

_SERVICE_FIELDS: dict[str, Kind] = {
    "Kind": STRING,
    "ID": STRING,
    "Service": STRING,
    "Tags": _STRINGS,
    "Address": STRING,
    "TaggedAddresses": _ADDRESSES,
    "Meta": _TEXT_MAP,
    "Port": INT,
    "Weights": _WEIGHTS,
    "EnableTagOverride": BOOL,
    "Proxy": _PROXY,
    "Connect": _CONNECT,
}

NODE = Struct(
    {
        "ID": STRING,
        "Node": STRING,
        "Address": STRING,
        "Datacenter": STRING,
        "TaggedAddresses": _TEXT_MAP,
        "Meta": _TEXT_MAP,
    }
)
SERVICE = Struct(_SERVICE_FIELDS)
FLAT_SERVICE = Struct(
    {
        "ID": STRING,
        "Node": STRING,
        "Address": STRING,
        "Datacenter": STRING,
        "TaggedAddresses": _TEXT_MAP,
        "NodeMeta": _TEXT_MAP,
        **{
            f"Service{name}": kind
            for name, kind in _SERVICE_FIELDS.items()
            if name != "Service"  # it is called ServiceName here
        },
        "ServiceName": STRING,
    }
)
CHECK = Struct(
    {
        "Node": STRING,
        "CheckID": STRING,
        "Name": STRING,
        "Status": STRING,
        "Notes": STRING,
        "Output": STRING,
        "ServiceID": STRING,
        "ServiceName": STRING,
        "ServiceTags": _STRINGS,
        "Type": STRING,
    }
)
HEALTH = Struct({"Node": NODE, "Service": SERVICE, "Checks": ListOf(CHECK)})
