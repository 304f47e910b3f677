"""A simulated aktualizr: the client most vehicles run, as far as servers can tell, written from its wire document.

It is an oracle, so nothing here imports ``twinlock``: own canonical form, own parsing, own verification, with the
weaknesses of the original. "wire 2.3" in a docstring means section 2.3 of that document. A first session::

    client = VirtualAktualizr(Config(server="http://127.0.0.1:9801"))
    run = client.once()                    # the whole sequence of wire 2.1: register, report, check, download, install
    assert run.success and run.installed == {"test-primary-0001": "fw-1.0.bin"}
    assert run.paths[:2] == ["POST /director/ecus 201", "PUT /system_info 404"]

The rooms: ``config`` and ``result`` (what goes in and comes out, shared with the real client), ``client`` (one run),
``provisioning``, ``reports`` (manifests, device data, events), ``cycle`` (check and download), ``installation``,
``secondaries``; ``verification``, ``director_repository`` and ``image_repository`` (order and messages of wire 5) on top
of ``signatures``, ``metadata`` (parsing, wire 4), ``refusals`` (the messages) and ``wire`` (canonical form, keys);
``http``, ``downloads``, ``storage``.

Beside the client: ``publisher`` and ``server`` (a minimal repository pair to try clients on), ``authority``
(certificates), ``trial`` (all of these together), ``real`` (the same interface around a real binary, where the
environment variable AKTUALIZR names one) and ``clients`` (the choice of both, for tests to parametrise over).
"""
