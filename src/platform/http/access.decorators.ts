import { applyDecorators, SetMetadata } from '@nestjs/common';
import { ApiExtension, ApiSecurity } from '@nestjs/swagger';
import type { Permission } from '../../core/permission.js';

/** What an operation needs of its caller. An operation that says nothing is closed to everybody. */
export type AccessRequirement =
  | { readonly kind: 'public' }
  | {
      readonly kind: 'signed-in';
      /** What the caller's credentials must allow; else what the method does: read or write. */
      readonly scope?: Permission;
    }
  | {
      readonly kind: 'admin';
      /** What an administrator's credentials must allow; `admin`, where it is left out. */
      readonly scope?: Permission;
    }
  | {
      readonly kind: 'dataset' | 'file';
      readonly permission: Permission;
      /** The route parameter that holds the id. */
      readonly parameter: string;
      readonly includeDeleted: boolean;
    };

/** Where the guard finds an operation's requirement. */
export const ACCESS_REQUIREMENT = Symbol('ACCESS_REQUIREMENT');

/** The extension of an operation in the OpenAPI document that tells what it needs. */
export const ACCESS_EXTENSION = 'x-access';

const requires = (requirement: AccessRequirement) =>
  applyDecorators(
    SetMetadata(ACCESS_REQUIREMENT, requirement),
    ApiExtension(ACCESS_EXTENSION, { ...requirement }),
  );

/** Open to everybody, signed in or not. */
export const Public = () => applyDecorators(requires({ kind: 'public' }), ApiSecurity({}));

/** Open to every signed-in user; what it answers is limited to what that user may read. */
export const SignedIn = (options: { scope?: Permission } = {}) =>
  requires({ kind: 'signed-in', ...options });

/** Open to administrators; with less than all that their credentials may allow, where it says so. */
export const AdminOnly = (options: { scope?: Permission } = {}) =>
  requires({ kind: 'admin', ...options });

/** Open to whoever has the permission on the dataset that `parameter` of the route names. */
export const OnDataset = (
  permission: Permission,
  options: { parameter?: string; includeDeleted?: boolean } = {},
) =>
  requires({
    kind: 'dataset',
    permission,
    parameter: options.parameter ?? 'datasetId',
    includeDeleted: options.includeDeleted ?? false,
  });

/** Open to whoever has the permission on the file that `parameter` of the route names. */
export const OnFile = (permission: Permission, options: { parameter?: string } = {}) =>
  requires({
    kind: 'file',
    permission,
    parameter: options.parameter ?? 'fileId',
    includeDeleted: false,
  });
