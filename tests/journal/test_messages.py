"""One entry as one message: what was written is read, whatever the catalog; all else is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal_entries import entries, plain
from tocsin.journal.dictionary import SeriesTexts
from tocsin.journal.messages import pack_message, unpack_message
from tocsin.model.errors import Corrupt
from tocsin.model.log import Tick
from tocsin.model.series import Catalog, Series, Signal


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_entry_comes_back_in_a_process_with_numbers_of_its_own(data):
    here, there = Catalog(), Catalog()
    there.intern(Series.of("main", Signal("known before"), {}))
    entry = data.draw(entries(here))
    assert plain(unpack_message(pack_message(entry, SeriesTexts(here)), there), there) == plain(entry, here)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_message_is_refused(data):
    catalog = Catalog()
    raw = bytearray(pack_message(data.draw(entries(catalog)), SeriesTexts(catalog)))
    at = data.draw(st.integers(8, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Corrupt):
        unpack_message(bytes(raw), Catalog())


@pytest.mark.parametrize("raw", [b"", b"no message", (99).to_bytes(8, "little"), (1).to_bytes(8, "little")])
def test_what_is_no_message_is_refused(raw):
    with pytest.raises(Corrupt):
        unpack_message(raw, Catalog())


def test_a_message_that_is_cut_short_is_refused():
    raw = pack_message(Tick(5, {("main", "s"): 4}), SeriesTexts(Catalog()))
    with pytest.raises(Corrupt):
        unpack_message(raw[:-1], Catalog())
