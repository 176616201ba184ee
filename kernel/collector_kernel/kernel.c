/*
 * Read the changed levels of a book from a frame, apply them to a sorted book, and pack its best levels.
 *
 * This is the usual message and nothing else: a frame that is in any way unexpected is left alone ("not
 * mine": None), and Python's own path, which knows every case, takes it from the text. For that to be right:
 *
 *  - `Frame.read` changes no book;
 *  - `Book.follow` refuses before it changes anything, or after it applied levels in full. Sizes are
 *    absolute, so that Python's path may apply the same levels again and comes to the same book.
 *
 * Nothing here is global, nothing recurses, and each buffer's length is checked before it is written. Text is
 * read up to a closing 0, which every Python string has, and no state goes past one. The interpreter's lock
 * is held throughout.
 */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define INTERFACE 1 /* grows with every change that Python has to know */
#define VERSION "1.0.0"

#define MAX_PRICE 1e15 /* as in collector/events/numbers.py */
#define MAX_SIZE 1e18
#define MOST_DIGITS 18       /* of a whole number: it fits 63 bits */
#define MOST_NAME 128        /* characters of a market */
#define MOST_LEVELS_A_ROW 1000
#define EXACT_WHOLE (UINT64_C(1) << 53) /* up to here every whole number is a double */

enum { BIDS, ASKS, SIDES };

/* Py_RETURN_NONE of newer headers counts no reference, which a wheel built with them needs on 3.11. */
static PyObject *
none(void)
{
    return Py_NewRef(Py_None);
}

/* ---- Levels: two arrays that grow ------------------------------------------------------------------ */

typedef struct {
    double *keys; /* of a frame: prices as they came; of a book: ascending, the best last */
    double *sizes;
    Py_ssize_t count, capacity;
} Levels;

/* Make room for `more` levels. Returns false, with an exception, when there is no memory. */
static bool
reserve(Levels *levels, Py_ssize_t more)
{
    if (more <= levels->capacity - levels->count)
        return true;
    if (more > (PY_SSIZE_T_MAX / (Py_ssize_t)sizeof(double) - levels->count) / 2) {
        PyErr_NoMemory();
        return false;
    }
    Py_ssize_t capacity = (levels->count + more) * 2;
    double *keys = PyMem_Realloc(levels->keys, (size_t)capacity * sizeof(double));
    if (keys != NULL)
        levels->keys = keys;
    double *sizes = PyMem_Realloc(levels->sizes, (size_t)capacity * sizeof(double));
    if (sizes != NULL)
        levels->sizes = sizes;
    if (keys == NULL || sizes == NULL) { /* each array is at least as long as it was */
        PyErr_NoMemory();
        return false;
    }
    levels->capacity = capacity;
    return true;
}

/* Written so that NaN, which compares false with everything, is refused as well. */
static bool
is_possible(double price, double size)
{
    return 0.0 < price && price < MAX_PRICE && 0.0 <= size && size < MAX_SIZE;
}

/* ---- A strict reader of the JSON that exchanges send ------------------------------------------------ */

/* Each reader moves `at` past what it read, and returns false where something else stands there. */

static bool
skip(const char **at, char expected)
{
    if (**at != expected)
        return false;
    ++*at;
    return true;
}

/* Read a text of plain ASCII without escapes: where it begins, and its length. */
static bool
read_text(const char **at, const char **text, Py_ssize_t *length)
{
    if (!skip(at, '"'))
        return false;
    const char *from = *at, *to = from;
    while ((unsigned char)*to >= 0x20 && (unsigned char)*to < 0x80 && *to != '"' && *to != '\\')
        to++; /* ends at the closing 0 as well */
    if (*to != '"')
        return false;
    *text = from;
    *length = to - from;
    *at = to + 1;
    return true;
}

static bool
is_digit(char one)
{
    return one >= '0' && one <= '9';
}

/* Read a whole number of at most 18 digits, without a sign. */
static bool
read_whole(const char **at, long long *number)
{
    const char *from = *at, *to = from;
    long long found = 0;
    for (; is_digit(*to) && to - from < MOST_DIGITS; to++)
        found = found * 10 + (*to - '0');
    if (to == from || is_digit(*to) || (*from == '0' && to - from > 1))
        return false;
    *number = found;
    *at = to;
    return true;
}

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define MOST_POWER ((Py_ssize_t)(sizeof POWERS / sizeof *POWERS) - 1)

/* Read a decimal in quotation marks, such as "64000.10": digits, and perhaps a point and digits.
 *
 * Of a whole number up to 2**53 and a power of ten up to 22 both are exact doubles, so that their quotient is
 * the double nearest to the text. What has more digits is left to Python's own function, which is exact too.
 */
static bool
read_decimal(const char **at, double *number)
{
    if (!skip(at, '"'))
        return false;
    const char *from = *at, *to = from;
    uint64_t digits = 0;
    for (; is_digit(*to) && to - from < MOST_DIGITS; to++)
        digits = digits * 10 + (uint64_t)(*to - '0');
    if (to == from || is_digit(*to) || (*from == '0' && to - from > 1))
        return false;
    Py_ssize_t decimals = 0;
    bool is_exact = FLT_EVAL_METHOD == 0;
    if (*to == '.') {
        const char *first = ++to;
        for (; is_digit(*to); to++) {
            if (digits > (UINT64_MAX - 9) / 10)
                is_exact = false;
            else
                digits = digits * 10 + (uint64_t)(*to - '0');
        }
        decimals = to - first;
        if (decimals == 0)
            return false;
    }
    if (*to != '"')
        return false;
    if (is_exact)
        for (; digits > EXACT_WHOLE && decimals > 0 && digits % 10 == 0; decimals--)
            digits /= 10;
    if (is_exact && digits <= EXACT_WHOLE && decimals <= MOST_POWER) {
        *number = (double)digits / POWERS[decimals];
    }
    else {
        char *end;
        *number = PyOS_string_to_double(from, &end, NULL);
        if (end != to) {
            PyErr_Clear();
            return false;
        }
    }
    *at = to + 1;
    return true;
}

/* Read [["price","size"], ...]. A level that no market could have is for others to judge. */
static bool
read_levels(const char **at, Levels *levels)
{
    levels->count = 0;
    if (!skip(at, '['))
        return false;
    if (skip(at, ']'))
        return true;
    do {
        double price, size;
        if (!skip(at, '[') || !read_decimal(at, &price) || !skip(at, ',') || !read_decimal(at, &size) ||
            !skip(at, ']') || !is_possible(price, size))
            return false;
        if (!reserve(levels, 1))
            return false;
        levels->keys[levels->count] = price;
        levels->sizes[levels->count++] = size;
    } while (skip(at, ','));
    return skip(at, ']');
}

/* ---- Frame: what was read last ---------------------------------------------------------------------- */

/* The keys of an object are known, and each comes once at most; their order is the exchange's own affair. */
typedef enum { TEXT, WHOLE, CHANGES, OBJECT } Kind;

enum { TOPIC, TYPE, EVENT_MS, MATCHED_MS, SYMBOL, FIRST, LAST, PREVIOUS, CROSS, SIDE_B, SIDE_A, DATA, FIELDS };

typedef struct {
    const char *text;
    size_t length; /* 0: the list is over */
    Kind kind;
    int field;
} Key;

#define KEY(text, kind, field) {text, sizeof text - 1, kind, field}
#define NO_MORE {NULL, 0, TEXT, 0}
#define HAS(field) (1u << (field))

static const Key BYBIT_KEYS[] = {
    KEY("topic", TEXT, TOPIC), KEY("type", TEXT, TYPE), KEY("ts", WHOLE, EVENT_MS),
    KEY("data", OBJECT, DATA), KEY("cts", WHOLE, MATCHED_MS), NO_MORE,
};
static const Key BYBIT_DATA_KEYS[] = {
    KEY("s", TEXT, SYMBOL), KEY("b", CHANGES, SIDE_B), KEY("a", CHANGES, SIDE_A),
    KEY("u", WHOLE, LAST), KEY("seq", WHOLE, CROSS), NO_MORE,
};
static const Key BINANCE_KEYS[] = {
    KEY("e", TEXT, TYPE), KEY("E", WHOLE, EVENT_MS), KEY("T", WHOLE, MATCHED_MS), KEY("s", TEXT, SYMBOL),
    KEY("U", WHOLE, FIRST), KEY("u", WHOLE, LAST), KEY("pu", WHOLE, PREVIOUS), KEY("b", CHANGES, SIDE_B),
    KEY("a", CHANGES, SIDE_A), NO_MORE,
};

typedef struct {
    const char *name;
    const Key *keys, *data_keys;
    const char *type; /* the word for changed levels */
    unsigned needed;
    int before;              /* the field that names the message before */
    bool is_before_one_less; /* it is the number before that field's */
    bool is_topic_of_symbol; /* btcusdt@depth, of BTCUSDT */
} Shape;

#define BOTH_SIDES (HAS(SIDE_B) | HAS(SIDE_A))
#define BINANCE_NEEDS (HAS(TYPE) | HAS(EVENT_MS) | HAS(SYMBOL) | HAS(FIRST) | HAS(LAST) | BOTH_SIDES)

static const Shape SHAPES[] = {
    {"bybit", BYBIT_KEYS, BYBIT_DATA_KEYS, "delta",
     HAS(TOPIC) | HAS(TYPE) | HAS(EVENT_MS) | HAS(DATA) | HAS(LAST) | BOTH_SIDES, LAST, true, false},
    {"binance_spot", BINANCE_KEYS, NULL, "depthUpdate", BINANCE_NEEDS, FIRST, true, true},
    {"binance_usdm", BINANCE_KEYS, NULL, "depthUpdate", BINANCE_NEEDS | HAS(PREVIOUS), PREVIOUS, false, true},
};

typedef struct {
    PyObject_HEAD
    const Shape *shape;
    Levels sides[SIDES];
    unsigned found; /* fields, as bits; none: nothing is read */
    long long numbers[FIELDS];
    const char *texts[FIELDS]; /* within the frame's text: only while it is read */
    Py_ssize_t lengths[FIELDS];
} Frame;

static const Key *
find_key(const Key *keys, const char *text, Py_ssize_t length)
{
    for (; keys->length > 0; keys++)
        if ((size_t)length == keys->length && memcmp(keys->text, text, keys->length) == 0)
            return keys;
    return NULL;
}

/* Read one object; `inner` are the keys of the object within it, which has none within. */
static bool
read_object(Frame *frame, const char **at, const Key *keys, const Key *inner)
{
    if (!skip(at, '{'))
        return false;
    do {
        const char *text;
        Py_ssize_t length;
        if (!read_text(at, &text, &length) || !skip(at, ':'))
            return false;
        const Key *key = find_key(keys, text, length);
        if (key == NULL || (frame->found & HAS(key->field)))
            return false;
        int field = key->field;
        bool is_read = false;
        switch (key->kind) {
        case TEXT:
            is_read = read_text(at, &frame->texts[field], &frame->lengths[field]);
            break;
        case WHOLE:
            is_read = read_whole(at, &frame->numbers[field]);
            break;
        case CHANGES:
            is_read = read_levels(at, &frame->sides[field == SIDE_B ? BIDS : ASKS]);
            break;
        case OBJECT:
            is_read = inner != NULL && read_object(frame, at, inner, NULL);
            break;
        }
        if (!is_read)
            return false;
        frame->found |= HAS(field);
    } while (skip(at, ','));
    return skip(at, '}');
}

/* Read changed levels that Python's mapper would take without a word. */
static bool
read_changes(Frame *frame, const char *text, Py_ssize_t length)
{
    const Shape *shape = frame->shape;
    const char *at = text;
    frame->found = 0;
    if (!read_object(frame, &at, shape->keys, shape->data_keys) || at != text + length ||
        (frame->found & shape->needed) != shape->needed)
        return false;
    if ((size_t)frame->lengths[TYPE] != strlen(shape->type) ||
        memcmp(frame->texts[TYPE], shape->type, strlen(shape->type)) != 0)
        return false;
    if (shape->is_topic_of_symbol)
        return frame->lengths[SYMBOL] > 0 && frame->lengths[SYMBOL] <= MOST_NAME &&
               frame->numbers[FIRST] <= frame->numbers[LAST];
    static const char prefix[] = "orderbook.";
    return (size_t)frame->lengths[TOPIC] >= sizeof prefix - 1 &&
           memcmp(frame->texts[TOPIC], prefix, sizeof prefix - 1) == 0 &&
           frame->numbers[LAST] != 1; /* a whole book after a restart, whatever its type */
}

static PyObject *
topic_of(const Frame *frame)
{
    static const char suffix[] = "@depth";
    char name[MOST_NAME + sizeof suffix];
    int field = frame->shape->is_topic_of_symbol ? SYMBOL : TOPIC;
    Py_ssize_t length = frame->lengths[field];
    if (field == TOPIC)
        return PyUnicode_FromStringAndSize(frame->texts[TOPIC], length);
    for (Py_ssize_t place = 0; place < length; place++) {
        char one = frame->texts[SYMBOL][place];
        name[place] = one >= 'A' && one <= 'Z' ? (char)(one - 'A' + 'a') : one;
    }
    memcpy(name + length, suffix, sizeof suffix);
    return PyUnicode_FromStringAndSize(name, length + (Py_ssize_t)sizeof suffix - 1);
}

/* Put new references into a tuple; one that is NULL fails. */
static PyObject *
tuple_of(PyObject *const *items, Py_ssize_t count)
{
    bool is_whole = true;
    for (Py_ssize_t place = 0; place < count; place++)
        is_whole = is_whole && items[place] != NULL;
    PyObject *tuple = is_whole ? PyTuple_New(count) : NULL;
    for (Py_ssize_t place = 0; place < count; place++) {
        if (tuple != NULL)
            PyTuple_SetItem(tuple, place, items[place]); /* takes the reference over */
        else
            Py_XDECREF(items[place]);
    }
    return tuple;
}

static PyObject *
number_or_none(const Frame *frame, int field)
{
    if (!(frame->found & HAS(field)))
        return none();
    return PyLong_FromLongLong(frame->numbers[field]);
}

/* read(text) -> (topic, number before, number, time in ms, number across channels, this, ()) or None */
static PyObject *
frame_read(PyObject *self, PyObject *text)
{
    Frame *frame = (Frame *)self;
    Py_ssize_t length;
    frame->found = 0;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &length); /* no copy of ASCII */
    if (utf8 == NULL || !read_changes(frame, utf8, length)) {
        frame->found = 0;
        if (PyErr_Occurred()) /* no text, a lone surrogate, or no memory */
            return NULL;
        return none();
    }
    const Shape *shape = frame->shape;
    PyObject *items[] = {
        topic_of(frame),
        PyLong_FromLongLong(frame->numbers[shape->before] - shape->is_before_one_less),
        PyLong_FromLongLong(frame->numbers[LAST]),
        PyLong_FromLongLong(frame->numbers[frame->found & HAS(MATCHED_MS) ? MATCHED_MS : EVENT_MS]),
        number_or_none(frame, CROSS),
        Py_NewRef(self),
        PyTuple_New(0),
    };
    return tuple_of(items, sizeof items / sizeof *items);
}

static PyObject *
frame_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *name;
    static char *names[] = {"shape", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:Frame", names, &name))
        return NULL;
    for (size_t place = 0; place < sizeof SHAPES / sizeof *SHAPES; place++)
        if (strcmp(SHAPES[place].name, name) == 0) {
            Frame *frame = (Frame *)PyType_GenericAlloc(type, 0); /* filled with zeros */
            if (frame != NULL)
                frame->shape = &SHAPES[place];
            return (PyObject *)frame;
        }
    PyErr_Format(PyExc_ValueError, "no shape %.64s is known", name);
    return NULL;
}

/* Free an object of two sides, of which either type consists. */
static void
free_object(PyObject *self, Levels *sides)
{
    PyTypeObject *type = Py_TYPE(self);
    for (int side = 0; side < SIDES; side++) {
        PyMem_Free(sides[side].keys);
        PyMem_Free(sides[side].sizes);
    }
    PyObject_Free(self);
    Py_DECREF(type);
}

static void
frame_dealloc(PyObject *self)
{
    free_object(self, ((Frame *)self)->sides);
}

static PyMethodDef frame_methods[] = {
    {"read", frame_read, METH_O,
     "Read changed levels: their topic, the number before, their number, the time in ms, the number across "
     "channels, this (which holds the levels), nothing. None: not mine."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot frame_slots[] = {
    {Py_tp_new, frame_new},
    {Py_tp_dealloc, frame_dealloc},
    {Py_tp_methods, frame_methods},
    {Py_tp_doc, "Reads frames of one exchange; keeps what it read last."},
    {0, NULL},
};
static PyType_Spec frame_spec = {"collector_kernel.Frame", sizeof(Frame), 0, Py_TPFLAGS_DEFAULT, frame_slots};

/* ---- Book: both sides ------------------------------------------------------------------------------- */

/* Each side has its best level last, where most changes are: asks are kept by their negative price. */
typedef struct {
    PyObject_HEAD
    Levels sides[SIDES];
} Book;

static double
key_of(int side, double price)
{
    return side == BIDS ? price : -price; /* exact, and its own inverse */
}

/* Set a level's size, 0 removes it. There is room for one more, and the level is possible. */
static void
set_level(Levels *levels, double key, double size)
{
    Py_ssize_t low = 0, high = levels->count;
    while (low < high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (levels->keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_known = low < levels->count && levels->keys[low] == key;
    size_t after = (size_t)(levels->count - low) * sizeof(double);
    if (size != 0.0 && !is_known) {
        memmove(levels->keys + low + 1, levels->keys + low, after);
        memmove(levels->sizes + low + 1, levels->sizes + low, after);
        levels->keys[low] = key;
        levels->count++;
    }
    if (size != 0.0) {
        levels->sizes[low] = size;
    }
    else if (is_known) {
        after -= sizeof(double);
        memmove(levels->keys + low, levels->keys + low + 1, after);
        memmove(levels->sizes + low, levels->sizes + low + 1, after);
        levels->count--;
    }
}

static void
cut(Levels *levels, Py_ssize_t most)
{
    Py_ssize_t surplus = levels->count - most;
    if (surplus <= 0)
        return;
    memmove(levels->keys, levels->keys + surplus, (size_t)most * sizeof(double));
    memmove(levels->sizes, levels->sizes + surplus, (size_t)most * sizeof(double));
    levels->count = most;
}

/* Write the best levels: bid prices, bid sizes, ask prices, ask sizes; NaN where a side has no more. */
static PyObject *
pack_top(const Book *book, Py_ssize_t levels)
{
    PyObject *packed = PyBytes_FromStringAndSize(NULL, 4 * levels * (Py_ssize_t)sizeof(double));
    if (packed == NULL)
        return NULL;
    char *to = PyBytes_AsString(packed);
    for (int side = 0; side < SIDES; side++) {
        const Levels *from = &book->sides[side];
        for (int is_size = 0; is_size < 2; is_size++) {
            const double *numbers = is_size ? from->sizes : from->keys;
            for (Py_ssize_t place = 0; place < levels; place++, to += sizeof(double)) {
                double number = NAN;
                if (place < from->count) {
                    number = numbers[from->count - 1 - place];
                    if (!is_size)
                        number = key_of(side, number);
                }
                memcpy(to, &number, sizeof number);
            }
        }
    }
    return packed;
}

/* Whether the best `levels` of a side are known: within its edge, beyond which levels may be missing. */
static bool
knows(int side, const Levels *levels, double edge, Py_ssize_t wanted)
{
    if (!(edge > (side == BIDS ? 0.0 : -HUGE_VAL))) /* all there is, or NaN: there are no edges */
        return true;
    return levels->count >= wanted && levels->keys[levels->count - wanted] >= edge;
}

static bool
apply(Book *book, const Frame *frame)
{
    for (int side = 0; side < SIDES; side++)
        if (!reserve(&book->sides[side], frame->sides[side].count))
            return false;
    for (int side = 0; side < SIDES; side++) {
        const Levels *changes = &frame->sides[side];
        for (Py_ssize_t place = 0; place < changes->count; place++)
            set_level(&book->sides[side], key_of(side, changes->keys[place]), changes->sizes[place]);
    }
    return true;
}

typedef struct {
    PyTypeObject *frame_type; /* by which `follow` knows what it is given */
} State;

static State *
state_of(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

/* follow(frame, number, middle, jump, most, levels, most_known, bid_edge, ask_edge)
 *   -> (best levels as bytes, middle, known levels, bid_edge, ask_edge) or None
 */
static PyObject *
book_follow(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 9 || Py_TYPE(args[0]) != state_of(self)->frame_type) {
        PyErr_SetString(PyExc_TypeError, "a frame and eight numbers expected");
        return NULL;
    }
    Book *book = (Book *)self;
    const Frame *frame = (const Frame *)args[0];
    long long number = PyLong_AsLongLong(args[1]);
    double before = PyFloat_AsDouble(args[2]), jump = PyFloat_AsDouble(args[3]);
    Py_ssize_t limit = PyLong_AsSsize_t(args[4]), levels = PyLong_AsSsize_t(args[5]);
    Py_ssize_t known = PyLong_AsSsize_t(args[6]);
    double edges[SIDES] = {PyFloat_AsDouble(args[7]), -PyFloat_AsDouble(args[8])}; /* as keys */
    if (PyErr_Occurred())
        return NULL;
    if (limit < 1 || levels < 1 || levels > MOST_LEVELS_A_ROW || known < 1) {
        PyErr_SetString(PyExc_ValueError, "a number out of range");
        return NULL;
    }
    if (frame->found == 0 || frame->numbers[LAST] != number) /* it has read something else since */
        return none();
    if (!apply(book, frame))
        return NULL;
    Levels *bids = &book->sides[BIDS], *asks = &book->sides[ASKS];
    double middle = before;
    if (bids->count > 0 && asks->count > 0) {
        double bid = bids->keys[bids->count - 1], ask = -asks->keys[asks->count - 1];
        middle = (bid + ask) / 2.0;
        double most = jump * before;
        if (bid >= ask || (fabs(middle - before) > most && most > 0.0))
            return none();
    }
    for (int side = 0; side < SIDES; side++) {
        Levels *here = &book->sides[side];
        cut(here, limit);
        if (here->count == limit && here->keys[0] > edges[side])
            edges[side] = here->keys[0];
        if (!knows(side, here, edges[side], 1))
            return none();
    }
    while (known > 0 && !(knows(BIDS, bids, edges[BIDS], known) && knows(ASKS, asks, edges[ASKS], known)))
        known--;
    PyObject *items[] = {
        pack_top(book, levels),
        PyFloat_FromDouble(middle),
        PyLong_FromSsize_t(known),
        PyFloat_FromDouble(edges[BIDS]),
        PyFloat_FromDouble(-edges[ASKS]),
    };
    return tuple_of(items, sizeof items / sizeof *items);
}

/* Convert an argument for PyArg_ParseTuple: 0 are bids, 1 are asks. */
static int
to_side(PyObject *argument, void *side)
{
    long number = PyLong_AsLong(argument);
    if (number != BIDS && number != ASKS) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "side 0 (bids) or 1 (asks) expected");
        return 0;
    }
    *(int *)side = (int)number;
    return 1;
}

/* update(side, levels) -> None, or the first (price, size) that no market could have */
static PyObject *
book_update(PyObject *self, PyObject *args)
{
    int side;
    PyObject *given;
    if (!PyArg_ParseTuple(args, "O&O:update", to_side, &side, &given))
        return NULL;
    PyObject *changes = PyObject_GetIter(given);
    if (changes == NULL)
        return NULL;
    PyObject *level = NULL, *wrong = NULL;
    while (wrong == NULL && (level = PyIter_Next(changes)) != NULL) {
        PyObject *price_object = PySequence_GetItem(level, 0);
        PyObject *size_object = price_object == NULL ? NULL : PySequence_GetItem(level, 1);
        double price = size_object == NULL ? 0.0 : PyFloat_AsDouble(price_object);
        double size = size_object == NULL ? 0.0 : PyFloat_AsDouble(size_object);
        Py_XDECREF(price_object);
        Py_XDECREF(size_object);
        Levels *levels = &((Book *)self)->sides[side]; /* the calls above may have changed it */
        if (PyErr_Occurred() || !reserve(levels, 1)) {
            Py_DECREF(level);
            break;
        }
        if (is_possible(price, size)) {
            set_level(levels, key_of(side, price), size);
            Py_DECREF(level);
        }
        else {
            wrong = level; /* the reference goes to the caller */
        }
    }
    Py_DECREF(changes);
    if (PyErr_Occurred()) {
        Py_XDECREF(wrong);
        return NULL;
    }
    if (wrong == NULL)
        return none();
    return wrong;
}

/* List the numbers of a side, prices ascending. */
static PyObject *
list_of(int side, const Levels *levels, bool sizes)
{
    PyObject *list = PyList_New(levels->count);
    for (Py_ssize_t place = 0; list != NULL && place < levels->count; place++) {
        Py_ssize_t from = side == BIDS ? place : levels->count - 1 - place;
        PyObject *item = PyFloat_FromDouble(sizes ? levels->sizes[from] : key_of(side, levels->keys[from]));
        if (item == NULL || PyList_SetItem(list, place, item) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *
book_levels(PyObject *self, PyObject *argument)
{
    int side;
    if (!to_side(argument, &side))
        return NULL;
    const Levels *levels = &((Book *)self)->sides[side];
    PyObject *lists[] = {list_of(side, levels, false), list_of(side, levels, true)};
    return tuple_of(lists, 2);
}

static PyObject *
book_count(PyObject *self, PyObject *argument)
{
    int side;
    return to_side(argument, &side) ? PyLong_FromSsize_t(((Book *)self)->sides[side].count) : NULL;
}

static PyObject *
book_price(PyObject *self, PyObject *args)
{
    int side;
    Py_ssize_t place;
    if (!PyArg_ParseTuple(args, "O&n:price", to_side, &side, &place))
        return NULL;
    const Levels *levels = &((Book *)self)->sides[side];
    if (place < 0 || place >= levels->count) {
        PyErr_SetString(PyExc_IndexError, "no such level");
        return NULL;
    }
    return PyFloat_FromDouble(key_of(side, levels->keys[side == BIDS ? place : levels->count - 1 - place]));
}

static PyObject *
book_cut(PyObject *self, PyObject *args)
{
    int side;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "O&n:cut", to_side, &side, &most))
        return NULL;
    if (most < 0) {
        PyErr_SetString(PyExc_ValueError, "a number of levels expected");
        return NULL;
    }
    cut(&((Book *)self)->sides[side], most);
    return none();
}

static PyObject *
book_pack(PyObject *self, PyObject *argument)
{
    Py_ssize_t levels = PyLong_AsSsize_t(argument);
    if (levels < 1 || levels > MOST_LEVELS_A_ROW) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "a number of levels out of range");
        return NULL;
    }
    return pack_top((const Book *)self, levels);
}

static void
book_dealloc(PyObject *self)
{
    free_object(self, ((Book *)self)->sides);
}

static PyMethodDef book_methods[] = {
    {"follow", (PyCFunction)(void (*)(void))book_follow, METH_FASTCALL,
     "Apply what a frame read: the best levels as bytes, the middle, how many levels are known, the edges. "
     "None: not mine, and may be applied once more."},
    {"update", book_update, METH_VARARGS, "Set levels of a side; returns the first impossible one."},
    {"levels", book_levels, METH_O, "List the prices of a side, ascending, and the sizes beside them."},
    {"count", book_count, METH_O, "Count the levels of a side."},
    {"price", book_price, METH_VARARGS, "Return the price at a place, from the lowest on."},
    {"cut", book_cut, METH_VARARGS, "Keep the best levels of a side."},
    {"pack", book_pack, METH_O, "Write the best levels as bytes of doubles."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot book_slots[] = {
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, book_dealloc},
    {Py_tp_methods, book_methods},
    {Py_tp_doc, "A sorted book of both sides."},
    {0, NULL},
};
static PyType_Spec book_spec = {"collector_kernel.Book", sizeof(Book), 0, Py_TPFLAGS_DEFAULT, book_slots};

/* ---- The module ------------------------------------------------------------------------------------- */

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->frame_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &frame_spec, NULL);
    if (state->frame_type == NULL || PyModule_AddType(module, state->frame_type) < 0)
        return -1;
    PyObject *book_type = PyType_FromModuleAndSpec(module, &book_spec, NULL);
    if (book_type == NULL || PyModule_AddType(module, (PyTypeObject *)book_type) < 0) {
        Py_XDECREF(book_type);
        return -1;
    }
    Py_DECREF(book_type); /* the module has one of its own */
    if (PyModule_AddIntConstant(module, "INTERFACE", INTERFACE) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "VERSION", VERSION);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    if (state != NULL)
        Py_VISIT(state->frame_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if (state != NULL)
        Py_CLEAR(state->frame_type);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};
static struct PyModuleDef module_def = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "collector_kernel.kernel",
    .m_doc = "Frames to changed levels, levels to a sorted book, the best of it to a row.",
    .m_size = sizeof(State),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit_kernel(void)
{
    return PyModuleDef_Init(&module_def);
}
