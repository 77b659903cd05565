import type { PipeTransform } from '@nestjs/common';
import { ValidateBy, type ValidationOptions } from 'class-validator';
import { InvalidInput } from '../core/problems.js';

/** Rules for what describes a dataset. Each gives what is wrong with a value, or null. */
type Rule = (value: unknown) => string | null;

export const MAX_NAME_LENGTH = 255;
export const MAX_DESCRIPTION_LENGTH = 10_000;
export const MAX_MESSAGE_LENGTH = 10_000;
export const MAX_METADATA_BYTES = 64 * 1024;
export const MAX_TAG_LENGTH = 64;
export const MAX_TAGS = 50;

// Separators that are no plain space are refused with the control characters: nobody sees them.
const INVISIBLE = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const TAG = /^[\p{L}\p{N}][\p{L}\p{M}\p{N}_.:/+-]*$/u;

const lengthOf = (text: string): number => [...text].length;

/** A name is compared as it is written, so nothing is trimmed or normalised for its owner. */
export const nameComplaint: Rule = (name) => {
  if (typeof name !== 'string') return 'takes text';
  if (name === '') return 'must not be empty';
  if (!name.isWellFormed()) return 'must not contain half of a surrogate pair';
  if (lengthOf(name) > MAX_NAME_LENGTH) return `takes at most ${MAX_NAME_LENGTH} characters`;
  if (INVISIBLE.test(name)) return 'must not contain control characters or line breaks';
  if (name.trim() !== name) return 'must not begin or end with white space';
  return null;
};

const proseRule =
  (maxLength: number): Rule =>
  (text) => {
    if (typeof text !== 'string') return 'takes text';
    if (text.includes('\0')) return 'must not contain the NUL character';
    if (!text.isWellFormed()) return 'must not contain half of a surrogate pair';
    return lengthOf(text) > maxLength ? `takes at most ${maxLength} characters` : null;
  };

export const descriptionComplaint = proseRule(MAX_DESCRIPTION_LENGTH);

/** Of a version that comes with a new dataset or in a document. */
export const messageComplaint = proseRule(MAX_MESSAGE_LENGTH);

/** Expects JSON that `checkInput` has passed: strings and numbers that can be stored, and no abyss. */
export const metadataComplaint: Rule = (metadata) => {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    return 'takes a JSON object';
  }
  return Buffer.byteLength(JSON.stringify(metadata)) > MAX_METADATA_BYTES
    ? `takes at most ${MAX_METADATA_BYTES} bytes of JSON; put larger things into a file`
    : null;
};

export const tagComplaint: Rule = (tag) => {
  if (typeof tag !== 'string') return 'takes text';
  if (lengthOf(tag) > MAX_TAG_LENGTH) return `takes at most ${MAX_TAG_LENGTH} characters`;
  return TAG.test(tag)
    ? null
    : 'takes letters, digits and _ . : / + -, beginning with a letter or a digit';
};

export const tagsComplaint: Rule = (tags) => {
  if (!Array.isArray(tags)) return 'takes a list of tags';
  if (new Set(tags).size > MAX_TAGS) return `takes at most ${MAX_TAGS} tags`;
  for (const [index, tag] of tags.entries()) {
    const complaint = tagComplaint(tag);
    if (complaint) return `takes tags, and number ${index + 1} is none: a tag ${complaint}`;
  }
  return null;
};

/** Holds a DTO's property to a rule. */
export function Obeys(rule: Rule, options?: ValidationOptions): PropertyDecorator {
  return ValidateBy(
    {
      name: 'obeys',
      validator: {
        validate: (value) => rule(value) === null,
        defaultMessage: (where) => rule(where?.value) ?? '',
      },
    },
    options,
  );
}

/** Holds a route's parameter to a rule. */
const ruleFor = (at: string, rule: Rule): PipeTransform<string, string> => ({
  transform: (text) => {
    const complaint = rule(text);
    if (complaint) throw new InvalidInput(`${at} ${complaint}.`, [{ at, message: complaint }]);
    return text;
  },
});

export const tagRule = ruleFor('tag', tagComplaint);
