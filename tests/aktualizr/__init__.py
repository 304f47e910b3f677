"""A virtual aktualizr: the client most vehicles run, as far as servers can tell, written from its wire document.

It is an oracle, so nothing here imports ``twinlock``: own canonical form, own parsing, own verification, with the
weaknesses of the original. "wire 2.3" in a docstring means section 2.3 of that document. A first session::

    client = VirtualAktualizr(Config(server="http://127.0.0.1:9801"))
    run = client.once()                    # the whole sequence of wire 2.1: register, report, check, download, install
    assert run.success and run.installed == {"test-primary-0001": "fw-1.0.bin"}
    assert run.paths[:2] == ["POST /director/ecus 201", "PUT /system_info 404"]

The rooms: ``config`` and ``result`` (what goes in and comes out, shared with the real client), ``client`` (the cycle),
``wire`` (canonical form, keys, signatures), ``metadata`` (parsing), ``verification`` (order and messages of section 5),
``http``, ``provisioning``, ``storage``, ``secondaries``, ``publisher`` (a minimal repository pair to test the client
itself) and ``real`` (the same interface around a real binary, where the environment variable AKTUALIZR names one).
"""
