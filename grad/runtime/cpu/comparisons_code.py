"""The machine code that compares what Python objects hold with what they held, as LLVM IR text.

comparisons.py writes the table of rows that it walks. Read that first.
"""

from __future__ import annotations

ROW_WORDS = 4
WORD = 6  # besides the sorts of ../comparisons.py: the word at an offset from an object's address

# METH_FASTCALL: self is the table, whose first word is the number of rows; each row is a sort, a
# subject, a key and what is expected. Gives the number of the first row that differs, or -1. New
# references are given up at once; they are compared by address only.
COMPARE = f"""
declare ptr @PyBytes_AsString(ptr)
declare ptr @PyDict_GetItemWithError(ptr, ptr)
declare i64 @PyObject_Size(ptr)
declare ptr @PySequence_GetItem(ptr, i64)
declare ptr @PyObject_GetAttr(ptr, ptr)
declare ptr @PyCell_Get(ptr)
declare ptr @PyLong_FromSsize_t(i64)
declare void @PyErr_Clear()
declare void @Py_DecRef(ptr)
define ptr @grad_first_difference(ptr %self, ptr %given, i64 %count) {{
entry:
  %table = call ptr @PyBytes_AsString(ptr %self)
  %rows = load i64, ptr %table
  %first = getelementptr i64, ptr %table, i64 1
  br label %next
next:
  %number = phi i64 [0, %entry], [%after, %same]
  %row = phi ptr [%first, %entry], [%row_after, %same]
  %more = icmp ult i64 %number, %rows
  br i1 %more, label %look, label %all_same
look:
  %sort = load i64, ptr %row
  %subject_at = getelementptr i64, ptr %row, i64 1
  %subject = load ptr, ptr %subject_at
  %key_at = getelementptr i64, ptr %row, i64 2
  %key = load ptr, ptr %key_at
  %index = load i64, ptr %key_at
  %expected_at = getelementptr i64, ptr %row, i64 3
  %expected = load i64, ptr %expected_at
  switch i64 %sort, label %differs [
    i64 0, label %dictionary
    i64 1, label %length
    i64 2, label %item
    i64 3, label %cell
    i64 4, label %attribute
    i64 {WORD}, label %word
  ]
dictionary:
  %value = call ptr @PyDict_GetItemWithError(ptr %subject, ptr %key)
  %value_word = ptrtoint ptr %value to i64
  br label %compare
length:
  %size = call i64 @PyObject_Size(ptr %subject)
  br label %compare
item:
  %item_new = call ptr @PySequence_GetItem(ptr %subject, i64 %index)
  br label %give_up
cell:
  %content_new = call ptr @PyCell_Get(ptr %subject)
  br label %give_up
attribute:
  %attribute_new = call ptr @PyObject_GetAttr(ptr %subject, ptr %key)
  br label %give_up
word:
  %word_at = getelementptr i8, ptr %subject, i64 %index
  %word_now = load i64, ptr %word_at
  br label %compare
give_up:
  %new = phi ptr [%item_new, %item], [%content_new, %cell], [%attribute_new, %attribute]
  %new_word = ptrtoint ptr %new to i64
  %nothing = icmp eq ptr %new, null
  br i1 %nothing, label %compare, label %drop
drop:
  call void @Py_DecRef(ptr %new)
  br label %compare
compare:
  %now = phi i64 [%value_word, %dictionary], [%size, %length], [%word_now, %word],
    [%new_word, %give_up], [%new_word, %drop]
  %equal = icmp eq i64 %now, %expected
  br i1 %equal, label %same, label %differs
same:
  %after = add i64 %number, 1
  %row_after = getelementptr i64, ptr %row, i64 {ROW_WORDS}
  br label %next
differs:
  call void @PyErr_Clear()
  br label %done
all_same:
  br label %done
done:
  %result = phi i64 [%number, %differs], [-1, %all_same]
  %object = call ptr @PyLong_FromSsize_t(i64 %result)
  ret ptr %object
}}
"""
