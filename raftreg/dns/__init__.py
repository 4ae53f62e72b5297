"""DNS: the registry's names under `consul.` (and one more domain), answered from this node's own copy.

What is guaranteed
    * `Answerer.reply` is total and does no input or output: whatever the bytes, it gives a message or None for silence.
    * Answers need no leader. They may be as old as a stale read; a change that was applied here is seen at once.
    * A message never exceeds what its client can take, and what is left out of it is left out as a whole: additional
      records go with their answers.
    * One client costs no other more than its own work: TCP connections are bounded in number, in questions under way
      and in time.
What is not
    * Zone transfers, DNSSEC, notifications, dynamic updates.
    * Resolving: questions about other domains go to the recursors of the configuration, or are refused.

One data flow: datagram or stream -> `wire` (parse) -> `zone` (what is asked) -> `resolver` (a plan, kept until
something it leans on changes) -> `plans` (chance and size) -> bytes; `listener` and `recursors` do input and output.
Spec: RFC 1035 (messages), 2181, 2782 (SRV), 3596 (AAAA), 6891 (EDNS), 7766 (TCP); names and their meaning as in Consul
1.8 (https://developer.hashicorp.com/consul/docs/services/discovery/dns-overview).
"""

from raftreg.dns.answerer import Answerer, Reply
from raftreg.dns.serving import DnsService
from raftreg.dns.settings import ZoneSettings

__all__ = ["Answerer", "DnsService", "Reply", "ZoneSettings"]
