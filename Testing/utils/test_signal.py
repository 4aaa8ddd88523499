from MyoScarSegLib.utils.signal import Signal


def test_every_connected_function_is_called_in_order_with_the_arguments():
    signal, heard = Signal(), []
    signal.connect(lambda what: heard.append(("first", what)))
    signal.connect(lambda what: heard.append(("second", what)))
    signal.emit("boxes")
    assert heard == [("first", "boxes"), ("second", "boxes")]


def test_disconnected_function_is_not_called_and_disconnecting_twice_does_nothing():
    signal, heard = Signal(), []
    disconnect = signal.connect(heard.append)
    signal.connect(heard.append)
    disconnect()
    disconnect()
    signal.emit(1)
    assert heard == [1], "the second connection of the same function stays"


def test_function_disconnected_by_one_before_it_is_not_called():
    signal, heard = Signal(), []
    signal.connect(lambda: disconnect())
    disconnect = signal.connect(lambda: heard.append("late"))
    signal.emit()
    assert heard == []


def test_function_connected_while_others_are_called_waits_for_the_next_time():
    signal, heard = Signal(), []
    signal.connect(lambda: signal.connect(lambda: heard.append("new")) if not heard else None)
    signal.emit()
    assert heard == []
    signal.emit()
    assert heard == ["new"]


def test_clear_disconnects_all_also_in_the_middle():
    signal, heard = Signal(), []
    signal.connect(signal.clear)
    signal.connect(lambda: heard.append("late"))
    signal.emit()
    assert heard == []
