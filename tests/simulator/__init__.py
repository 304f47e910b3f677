"""An Uptane world in memory: both repositories, a vehicle, a hand-turned clock, and an attacker who owns the wire.

No network, no disk, no real time. Every signed part is a plain dict that a test may deform before it is signed, so
whatever a hostile publisher could write, a test can write. A first session::

    world = World()                        # both repositories at version 1, a vehicle with three ECUs
    decision = world.vehicle.update()      # one full verification; what passed is stored
    world.vehicle.install(decision)        # the tiny installer: the ECU's installed image changes
    world.release("2.0")                   # new images, new metadata at both repositories
    with world.attack():                   # everything done inside is undone afterwards
        world.image.rewind("timestamp")    # serve the Timestamp that was published first
        world.vehicle.update()             # raises RollbackError
    world.vehicle.update()                 # the honest 2.0

The repositories, the vehicle and the world are in ``twinlock.testing.simulator``. Here are what the tests of the engine do with
them: ``scenario`` (an attack together with the refusal it must meet; ``tests/attacks`` tells them), ``hands`` and ``moves`` (what
attackers and honest people do), ``respelling``, ``manifests``.

Nothing here may import from ``client``, ``repository`` or ``director``, and signing never goes through the engine's
own canonical encoder: what the engine accepts is then made by someone else.
"""
