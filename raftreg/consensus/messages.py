"""What raftreg's nodes say to each other after the handshake: msgpack lists whose first element is one letter.

The sender and the receiver of each kind stand at the right; a stamp is a send time in microseconds (see `reads`).

    append        E  stamp, term, commit index, prev index, prev term, [[data, term], ...]  leader -> member
    ack           A  term, next index, reset, success, stamp of the append                  member -> leader
    commit        C  term, commit index                                                     leader -> member
    vote ask      V  term, last index, last term, forced (a hand-over: no stickiness)       candidate -> voter
    vote          R  term                                                                   voter -> candidate
    pre-vote ask  P  round, term it would have, last index, last term                       voter -> voter
    pre-vote      p  round                                                                  voter -> voter
    newer term    T  term                                                     anyone -> sender of an older term
    take over     X  term                                                                   leader -> its heir
    ping / pong   Q, q  term, stamp                                               leader -> voter, and back
    snapshot      S  term, index, term of index, size, offset, crc, data                    leader -> member
    chunk ack     s  term, index, term of index, bytes that the member has                  member -> leader
    read ask      I  number, confirm                                                        member -> leader
    read index    i  number, index or nil                                                   leader -> member
    call          F  number, data                                                           member -> leader
    answer        f  number, error class or nil, bytes or [code, text]                      leader -> member
    genesis       W  genesis entry                                        member -> node without a cluster
    members       M  term, index, newest committed member set, {member: host:port},         anyone -> anyone
                     and the same three of the set in use, if that is a later one
    join          J  nothing: from now on the sender acts as its member (`admission`)       anyone -> anyone
"""

APPEND, ACK, COMMIT = "E", "A", "C"
VOTE_ASK, VOTE, PREVOTE_ASK, PREVOTE = "V", "R", "P", "p"
NEWER_TERM, TAKE_OVER = "T", "X"
PING, PONG = "Q", "q"
SNAPSHOT, CHUNK_ACK = "S", "s"
READ_ASK, READ_INDEX = "I", "i"
CALL, ANSWER = "F", "f"
GENESIS, MEMBERS, JOIN = "W", "M", "J"
