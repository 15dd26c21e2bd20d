/* libFuzzer with a Python interpreter inside: each input goes to the `check` of the target that FUZZ_TARGET names.
 *
 * The code that is fuzzed is in native modules, which are compiled with coverage and sanitizers like this file and which
 * the interpreter loads as it always does. What they raise is a finding, and so is what the sanitizers see. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>

/* Counters that libFuzzer reads beside those of compiled code: for targets that are Python, by line. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t lines[1 << 16];

static PyObject *check;

static void stop(void) {
    PyErr_Print();
    abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    PyConfig config;
    PyStatus status;
    PyObject *targets, *counters;
    const char *target = getenv("FUZZ_TARGET"), *python = getenv("FUZZ_PYTHON");

    (void)argc;
    (void)argv;
    if (target == NULL || python == NULL) {
        fputs("start this with `make fuzz TARGET=...`\n", stderr);
        exit(2);
    }
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0; /* interrupts are libFuzzer's */
    status = PyConfig_SetBytesString(&config, &config.executable, python); /* its environment is the one to use */
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);

    targets = PyImport_ImportModule("fuzz.targets");
    counters = PyMemoryView_FromMemory((char *)lines, sizeof lines, PyBUF_WRITE);
    if (targets == NULL || counters == NULL)
        stop();
    check = PyObject_CallMethod(targets, "start", "sO", target, counters);
    if (check == NULL)
        stop();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    PyObject *nothing = PyObject_CallFunction(check, "y#", (const char *)data, (Py_ssize_t)size);
    if (nothing == NULL)
        stop();
    Py_DECREF(nothing);
    return 0;
}
